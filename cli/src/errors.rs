//! Everything that can go wrong for the person at the command line: what, where, and what to do.
//!
//! Each error has one exit code ([`Error::exit`]) and at most one piece of advice ([`Error::help`]).

use crate::exit::Exit;
use crate::problems;
use prost::Message as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use toprung_proto::v1;

/// An error at the edge; shown once by [`show`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line makes no sense here.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
    /// The experiment file is not valid; already drawn.
    #[error("{drawn}")]
    Config {
        /// The problems under their lines, ready to print.
        drawn: String,
    },
    /// The same, as the server said it; drawn by who knows the file.
    #[error("the experiment file is not valid: {}", problems::summary(.0))]
    Problems(Vec<v1::ConfigProblem>),
    /// The model directory cannot be used.
    #[error("{message}")]
    Model {
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
    /// No experiment was ever run in this data directory.
    #[error("no experiments here: {} does not exist", .0.display())]
    NoExperiments(PathBuf),
    /// No such experiment or trial.
    #[error("{0}")]
    NotFound(String),
    /// No checkpoint whose name begins so.
    #[error("there is no checkpoint {0}, or it is removed")]
    NoCheckpoint(String),
    /// The state of the experiment does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// No answer.
    #[error("cannot reach {url}: {cause}")]
    Unreachable {
        /// The server.
        url: String,
        /// Why.
        cause: String,
    },
    /// The server takes nothing in now, and said when to come again.
    #[error("{url} answered: {cause}")]
    Later {
        /// The server.
        url: String,
        /// Why.
        cause: String,
        /// How long to wait.
        after: Duration,
    },
    /// The server refuses the token, or none is known.
    #[error("{url} refuses this client: {cause}")]
    Unauthenticated {
        /// The server.
        url: String,
        /// Why.
        cause: String,
    },
    /// The server answered with an error of its own.
    #[error("{url} answered: {cause}")]
    Server {
        /// The server.
        url: String,
        /// What it said.
        cause: String,
    },
    /// Another process has the data directory.
    #[error("the data directory {} is in use by another process{holder}", .dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// " (process 12)" or empty.
        holder: String,
    },
    /// The address is taken.
    #[error("cannot listen on {0}: the address is in use")]
    PortInUse(String),
    /// The engine could not start or stop.
    #[error("{0}")]
    Engine(String),
    /// The store cannot be read or written.
    #[error("{0}")]
    Store(String),
    /// The agent ended.
    #[error("the agent ended: {0}")]
    Agent(String),
    /// A file or the terminal.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The reader of our output went away (`toprung list | head`): not an error of anybody.
    #[error("output closed")]
    OutputClosed,
}

impl Error {
    /// An I/O error with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// What the server said, in our words.
    pub(crate) fn from_status(url: &str, status: &tonic::Status) -> Self {
        use tonic::Code;
        use tonic_types::StatusExt as _;
        let url = url.to_owned();
        let cause = status.message().to_owned();
        // What a server says has no source: this is a connection that broke.
        if std::error::Error::source(status).is_some() {
            return Self::Unreachable { url, cause };
        }
        let retry = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
        if let (Code::ResourceExhausted | Code::Unavailable, Some(after)) = (status.code(), retry) {
            return Self::Later { url, cause, after };
        }
        match status.code() {
            Code::InvalidArgument => match v1::ConfigProblems::decode(status.details()) {
                Ok(found) if !found.problems.is_empty() => Self::Problems(found.problems),
                _ => Self::Usage { message: cause, help: String::new() },
            },
            Code::NotFound => Self::NotFound(cause),
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Self::Conflict(cause),
            Code::Unauthenticated | Code::PermissionDenied => Self::Unauthenticated { url, cause },
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                let cause = if cause.is_empty() { status.code().to_string() } else { cause };
                Self::Unreachable { url, cause }
            }
            code => Self::Server { url, cause: format!("{cause} ({code:?})") },
        }
    }

    /// Trying again may help: nothing was decided.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Later { .. })
    }

    /// The process ends with this.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. }
            | Self::Config { .. }
            | Self::Problems(_)
            | Self::Model { .. }
            | Self::Unauthenticated { .. } => Exit::Usage,
            Self::NoExperiments(_) | Self::NotFound(_) | Self::NoCheckpoint(_) | Self::Conflict(_) => {
                Exit::NotFound
            }
            Self::Unreachable { .. }
            | Self::Later { .. }
            | Self::Server { .. }
            | Self::PortInUse(_)
            | Self::Agent(_) => Exit::Unavailable,
            Self::Locked { .. } | Self::Engine(_) | Self::Store(_) => Exit::Store,
            Self::Io { .. } => Exit::Usage,
            Self::OutputClosed => Exit::Ok,
        }
    }

    /// What to do about it; empty: nothing to add.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Usage { help, .. } | Self::Model { help, .. } => help.clone(),
            Self::NoExperiments(_) => {
                "start one with `toprung run FILE`, name another directory with --data-dir, or pass --server URL".into()
            }
            Self::NotFound(_) => "`toprung list` shows the experiments, `toprung trials ID` its trials".into(),
            Self::NoCheckpoint(_) => "`toprung checkpoints list ID` shows those of an experiment".into(),
            Self::Unreachable { url, cause } => unreachable(url, cause),
            Self::Later { .. } => "it was tried again for a while; `toprung status` says how the engine is".into(),
            Self::Unauthenticated { .. } => {
                "pass --token or TOPRUNG_TOKEN; the token lies in the file `token` of the server's data directory".into()
            }
            Self::Locked { .. } => {
                "wait until it has ended, stop it, or use another directory with --data-dir".into()
            }
            Self::PortInUse(_) => {
                "another server may run there already; choose another port with --listen ADDRESS:PORT".into()
            }
            _ => String::new(),
        }
    }
}

/// What to do when a server does not answer.
fn unreachable(url: &str, cause: &str) -> String {
    if cause.contains("CaUsedAsEndEntity") {
        return "the server's certificate is one of an authority; a server needs its own (openssl req -x509 makes one \
                with -addext basicConstraints=critical,CA:FALSE)"
            .to_owned();
    }
    if cause.contains("certificate") {
        return "pass the certificate of the server, or of who has signed it, with --tls-ca FILE".to_owned();
    }
    // A TLS server answers a plain greeting with an alert and closes: what is noticed first differs.
    let closed =
        ["operation was canceled", "h2 protocol error", "transport error", "reset by peer", "roken pipe"];
    let misunderstood = closed.iter().any(|words| cause.contains(words));
    if let Some(rest) = url.strip_prefix("http://").filter(|_| misunderstood) {
        return format!(
            "the connection was closed: if the server uses TLS, write https://{rest}; else look whether it still runs"
        );
    }
    if let Some(rest) = url.strip_prefix("https://").filter(|_| cause.contains("InvalidContentType")) {
        return format!("this server does not use TLS: write http://{rest}");
    }
    "check the URL and that the server runs (`toprung serve` starts one), then try again".to_owned()
}

/// Writes the error to standard error. Fails silently: there is nowhere left to say so.
pub(crate) fn show(error: &Error) {
    let _ = std::io::stderr().write_all(text(error).as_bytes());
}

fn text(error: &Error) -> String {
    match error {
        Error::OutputClosed => String::new(),
        Error::Config { drawn } => format!("{}\n", drawn.trim_end()),
        _ if error.help().is_empty() => format!("error: {error}\n"),
        _ => format!("error: {error}\n  help: {}\n", error.help()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::{Code, Status};

    #[test]
    fn every_class_has_its_exit_code() {
        let exit = |code| Error::from_status("u", &Status::new(code, "m")).exit();
        assert_eq!(exit(Code::InvalidArgument), Exit::Usage);
        assert_eq!(exit(Code::NotFound), Exit::NotFound);
        assert_eq!(exit(Code::FailedPrecondition), Exit::NotFound);
        assert_eq!(exit(Code::Unavailable), Exit::Unavailable);
        assert_eq!(exit(Code::Internal), Exit::Unavailable);
        assert_eq!(exit(Code::Unauthenticated), Exit::Usage);
        assert_eq!(Error::Locked { dir: "d".into(), holder: String::new() }.exit(), Exit::Store);
    }

    #[test]
    fn a_broken_connection_may_be_tried_again() {
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(Error::from_status("u", &Status::from_error(Box::new(broken))).is_transient());
        assert!(!Error::from_status("u", &Status::unknown("said by a server")).is_transient());
    }

    #[test]
    fn a_hint_when_to_come_again_is_read() {
        use tonic_types::{ErrorDetails, StatusExt as _};
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(2)));
        let status = Status::with_error_details(Code::ResourceExhausted, "full", details);
        let error = Error::from_status("u", &status);
        assert!(matches!(error, Error::Later { after, .. } if after == Duration::from_secs(2)), "{error}");
        assert!(error.is_transient() && error.exit() == Exit::Unavailable);
        assert!(matches!(Error::from_status("u", &Status::unavailable("gone")), Error::Unreachable { .. }));
    }

    #[test]
    fn problems_travel_in_the_details() {
        let problem = v1::ConfigProblem { line: 3, message: "too small".into(), ..Default::default() };
        let details = v1::ConfigProblems { problems: vec![problem] }.encode_to_vec();
        let status = Status::with_details(Code::InvalidArgument, "invalid", details.into());
        let Error::Problems(found) = Error::from_status("u", &status) else { panic!("no problems") };
        assert_eq!(found[0].message, "too small");
    }

    #[test]
    fn an_unreachable_server_is_told_apart_from_one_that_is_not_trusted() {
        let help = |url: &str, cause: &str| {
            Error::Unreachable { url: url.to_owned(), cause: cause.to_owned() }.help()
        };
        assert!(help("https://h:1", "invalid peer certificate: UnknownIssuer").contains("--tls-ca"));
        assert!(help("https://h:1", "invalid peer certificate: CaUsedAsEndEntity").contains("CA:FALSE"));
        assert!(help("http://h:1", "operation was canceled").contains("write https://h:1"));
        assert!(help("http://h:1", "h2 protocol error: http2 error").contains("write https://h:1"));
        let corrupt = "received corrupt message of type InvalidContentType";
        assert!(help("https://h:1", corrupt).contains("write http://h:1"));
        assert!(help("http://h:1", "connection refused").contains("toprung serve"));
    }

    #[test]
    fn advice_follows_the_message() {
        let shown = text(&Error::NoExperiments("x".into()));
        assert!(shown.starts_with("error: no experiments here: x does not exist\n  help: "), "{shown}");
        assert!(shown.contains("toprung run FILE"));
    }
}
