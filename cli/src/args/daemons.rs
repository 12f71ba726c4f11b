//! What can be written after `toprung serve` and `toprung agent`.

use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `toprung serve`
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on. Other than loopback needs a certificate or --plaintext.
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Allow unencrypted connections from other machines (a proxy in front encrypts, or the network is trusted).
    #[arg(long, conflicts_with = "tls_cert")]
    pub plaintext: bool,
    /// Also run an agent with the slots of this machine.
    #[arg(long, overrides_with = "no_agent")]
    pub agent: bool,
    /// Run no agent (the default).
    #[arg(long, overrides_with = "agent")]
    pub no_agent: bool,
    /// The agent offers N CPU slots (default: all GPUs, else one slot per CPU core).
    #[arg(long, value_name = "N", requires = "agent", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: Option<u32>,
}

/// `toprung agent`
#[derive(Clone, Debug, Args)]
pub(crate) struct Agent {
    /// Name of the agent (default: the host's name).
    #[arg(long)]
    pub name: Option<String>,
    /// Offer N CPU slots (default: all GPUs, else one slot per CPU core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: Option<u32>,
    /// Where models, environments, checkpoints and unsent reports are kept (default: <data-dir>/agent).
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Keep so many MiB of what one attempt prints; the rest is counted and dropped.
    #[arg(
        long,
        env = "TOPRUNG_LOG_LIMIT",
        value_name = "MIB",
        default_value_t = 1024,
        hide_env_values = true
    )]
    pub log_limit: u32,
    /// Disk for unsent reports; when it is used up, trials that report wait (default: 4096).
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub spool_limit: Option<u32>,
}
