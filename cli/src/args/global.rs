//! Options that every command understands.

use clap::{ArgAction, Args};
use std::path::PathBuf;

/// Options that every command understands.
#[derive(Clone, Args)]
pub(crate) struct Global {
    /// Server to use, for example https://toprung.example.com:7070 (default: an engine in this process).
    #[arg(long, global = true, env = "TOPRUNG_SERVER", value_name = "URL", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub server: Option<String>,
    /// Token of the server; a server on this machine is found without one.
    #[arg(long, global = true, env = "TOPRUNG_TOKEN", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub token: Option<String>,
    /// Certificates (PEM) to trust for an https server (default: those of the system).
    #[arg(long, global = true, env = "TOPRUNG_TLS_CA", value_name = "FILE", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub tls_ca: Option<PathBuf>,
    /// Where experiments are kept when no server is given.
    #[arg(long, global = true, env = "TOPRUNG_DATA_DIR", value_name = "DIR", default_value = DATA_DIR)]
    #[arg(help_heading = "Global options", hide_env_values = true)]
    pub data_dir: PathBuf,
    /// Say more on standard error (-v: progress, -vv: everything); TOPRUNG_LOG=FILTER is finer.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
}

impl std::fmt::Debug for Global {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the token.
        formatter
            .debug_struct("Global")
            .field("server", &self.server)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl Global {
    /// What a command in a hint needs to reach the same engine: " --server URL", " --data-dir DIR" or nothing.
    pub(crate) fn in_hints(&self) -> String {
        let by_variable = |name| std::env::var_os(name).is_some();
        match &self.server {
            Some(_) if by_variable("TOPRUNG_SERVER") => String::new(),
            Some(url) => format!(" --server {url}{}", self.tls_in_hints()),
            None if self.data_dir.as_os_str() == DATA_DIR || by_variable("TOPRUNG_DATA_DIR") => String::new(),
            None => format!(" --data-dir {}", self.data_dir.display()),
        }
    }

    fn tls_in_hints(&self) -> String {
        let by_variable = std::env::var_os("TOPRUNG_TLS_CA").is_some();
        let named = self.tls_ca.as_ref().filter(|_| !by_variable);
        named.map(|path| format!(" --tls-ca {}", path.display())).unwrap_or_default()
    }
}

/// Where experiments are kept unless another place is named.
const DATA_DIR: &str = ".toprung";

#[cfg(test)]
mod tests {
    use crate::args::Arguments;
    use clap::Parser as _;

    #[test]
    fn hints_reach_the_same_engine() {
        let hint = |line: &[&str]| Arguments::parse_from(line).global.in_hints();
        assert_eq!(hint(&["toprung", "list"]), "");
        assert_eq!(hint(&["toprung", "list", "--server", "h"]), " --server h");
        assert_eq!(hint(&["toprung", "list", "--server", "h", "--tls-ca", "c"]), " --server h --tls-ca c");
        assert_eq!(hint(&["toprung", "list", "--data-dir", "d"]), " --data-dir d");
    }
}
