//! `toprung agent`

use crate::args::{Agent, Global};
use crate::connect;
use crate::discovery;
use crate::embed::{self, RunningAgent};
use crate::errors::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::output;
use std::time::Duration;

/// Trials save their checkpoints within this when the agent ends.
const STOP: Duration = Duration::from_mins(1);

/// Runs an agent until SIGINT or SIGTERM.
pub(super) async fn run(global: &Global, args: &Agent) -> Result<Exit, Error> {
    let options = options(global, args)?;
    let mut interrupts = Interrupts::start()?;
    output::note(&format!("agent for {}; Ctrl-C stops it, its trials go on elsewhere", options.server));
    let mut agent = RunningAgent::start(options);
    tokio::select! {
        ended = agent.ended() => return ended.map(|()| Exit::Ok),
        () = interrupts.next() => {}
    }
    output::note("stopping: trials save their checkpoints; Ctrl-C again leaves at once");
    tokio::select! {
        stopped = agent.stop(STOP) => stopped.map(|()| Exit::Ok),
        () = interrupts.next() => Ok(Exit::Interrupted),
    }
}

fn options(global: &Global, args: &Agent) -> Result<toprung_agent::Options, Error> {
    let Some(server) = &global.server else {
        return Err(Error::Usage {
            message: "an agent needs a server".to_owned(),
            help: "pass --server URL; `toprung serve --agent` runs both on this machine".to_owned(),
        });
    };
    let url = discovery::normal_url(server);
    let token = connect::server_token(global, &url).ok_or_else(|| Error::Usage {
        message: format!("the token of {url} is not known"),
        help: "pass --token or TOPRUNG_TOKEN; it lies in the file `token` of the server's data directory"
            .to_owned(),
    })?;
    let state_dir = args.state_dir.clone().unwrap_or_else(|| global.data_dir.join("agent"));
    let mut options = toprung_agent::Options::new(url, state_dir);
    options.token = Some(token);
    options.tls_ca.clone_from(&global.tls_ca);
    options.name.clone_from(&args.name);
    options.slots = args.slots;
    options.log_bytes = u64::from(args.log_limit) << 20;
    if let Some(mebibytes) = args.spool_limit {
        options.spool_limit = u64::from(mebibytes) << 20;
    }
    options.environments_dir = embed::environments_dir();
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Arguments, Command};
    use clap::Parser as _;

    fn built(line: &[&str]) -> Result<toprung_agent::Options, Error> {
        let arguments = Arguments::parse_from(line);
        let Command::Agent(agent) = arguments.command else { panic!("not agent") };
        options(&arguments.global, &agent)
    }

    #[test]
    fn the_state_lies_in_the_data_directory_unless_named() {
        let line = ["toprung", "agent", "--server", "h", "--token", "t", "--data-dir", "/d"];
        let options = built(&line).unwrap();
        assert_eq!(options.state_dir, std::path::Path::new("/d/agent"));
        assert_eq!(options.server, "http://h:7070");
        assert_eq!(options.token.as_deref(), Some("t"));
    }

    #[test]
    fn without_a_token_it_says_where_to_find_it() {
        let error = built(&["toprung", "agent", "--server", "http://example.com:1"]).unwrap_err();
        assert!(error.help().contains("TOPRUNG_TOKEN"), "{error}");
    }
}
