//! Finds the engine of a data directory, and the token of an engine on this machine.
//!
//! A running engine leaves `<data-dir>/server.json` and, by address, a file in the user's state directory. A file can
//! outlive its engine (kill -9), so what it names is only believed after it has answered.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What a running engine says about itself.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Published {
    /// "http://127.0.0.1:40123"
    pub url: String,
    /// Its token.
    pub token: String,
    /// Its process.
    pub pid: u32,
}

impl std::fmt::Debug for Published {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the token.
        formatter
            .debug_struct("Published")
            .field("url", &self.url)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// What an engine of this data directory wrote, if any.
pub(crate) fn of_data_dir(data_dir: &Path) -> Option<Published> {
    read(&data_dir.join("server.json"))
}

/// What an engine on this machine wrote that listens at `url`; none for other machines.
pub(crate) fn of_url(url: &str) -> Option<Published> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    let servers = state.join("toprung").join("servers");
    file_names(url)?.iter().find_map(|name| read(&servers.join(name)))
}

/// The URL as everybody writes it: with a scheme, and with the port of `toprung serve` where none is named.
pub(crate) fn normal_url(given: &str) -> String {
    let given = given.trim().trim_end_matches('/');
    if given.contains("://") {
        return given.to_owned();
    }
    let has_port = given.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    });
    if has_port { format!("http://{given}") } else { format!("http://{given}:7070") }
}

/// `<host>_<port>.json` for every way to write the same loopback address.
fn file_names(url: &str) -> Option<Vec<String>> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let default_port = if scheme == "https" { "443" } else { "80" };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port),
        _ => (authority, default_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let hosts = match host {
        "localhost" => vec!["localhost", "127.0.0.1", "::1"],
        "::1" => vec!["::1", "[::1]"],
        _ if host.starts_with("127.") => vec![host],
        _ => return None,
    };
    Some(hosts.iter().map(|host| format!("{host}_{port}.json")).collect())
}

fn read(path: &Path) -> Option<Published> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "cannot read");
            }
            return None;
        }
    };
    match serde_json::from_str(&text) {
        Ok(published) => Some(published),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "not a server's file");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_completed() {
        assert_eq!(normal_url("gpu-box"), "http://gpu-box:7070");
        assert_eq!(normal_url("gpu-box:9000"), "http://gpu-box:9000");
        assert_eq!(normal_url("[::1]"), "http://[::1]:7070");
        assert_eq!(normal_url("[::1]:9"), "http://[::1]:9");
        assert_eq!(normal_url("https://h/"), "https://h");
    }

    #[test]
    fn only_loopback_is_looked_up() {
        assert_eq!(file_names("http://127.0.0.1:7070"), Some(vec!["127.0.0.1_7070.json".to_owned()]));
        let local = file_names("http://localhost:7070").unwrap();
        assert!(local.contains(&"127.0.0.1_7070.json".to_owned()));
        assert_eq!(file_names("http://example.com:7070"), None);
    }

    #[test]
    fn debug_hides_the_token() {
        let published = Published { url: "u".into(), token: "hush".into(), pid: 1 };
        assert!(!format!("{published:?}").contains("hush"));
    }

    #[test]
    fn the_file_of_a_data_directory_is_read_and_damage_ignored() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(of_data_dir(dir.path()), None);
        let file = dir.path().join("server.json");
        std::fs::write(&file, r#"{"url": "http://127.0.0.1:1", "token": "t", "pid": 7}"#).unwrap();
        assert_eq!(of_data_dir(dir.path()).map(|found| found.pid), Some(7));
        std::fs::write(&file, "{").unwrap();
        assert_eq!(of_data_dir(dir.path()), None);
    }
}
