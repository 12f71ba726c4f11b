//! `toprung serve`

use crate::args::{Global, Serve};
use crate::embed::{self, RunningAgent};
use crate::errors::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::output;
use std::time::Duration;

/// The agent's trials save their checkpoints within this when the server ends.
const AGENT_STOP: Duration = Duration::from_mins(1);

/// Runs the server until SIGINT or SIGTERM.
pub(super) async fn run(global: &Global, args: &Serve) -> Result<Exit, Error> {
    check(args)?;
    let mut interrupts = Interrupts::start()?;
    let engine = toprung_engine::Engine::start(options(global, args))
        .await
        .map_err(|error| embed::engine_error(&global.data_dir, error))?;
    output::print(&greeting(global, args, engine.url()))?;
    let mut agent = args.agent.then(|| {
        let mut options = embed::agent_options(&engine, &global.data_dir, args.slots);
        options.tls_ca = global.tls_ca.clone().or_else(|| args.tls_cert.clone());
        RunningAgent::start(options)
    });
    let ended = tokio::select! {
        () = interrupts.next() => Ok(()),
        ended = agent_ended(agent.as_mut()) => ended,
    };
    output::note("stopping; experiments go on at the next start");
    let stop = async {
        if let Some(agent) = agent.filter(|_| ended.is_ok()) {
            agent.stop(AGENT_STOP).await?;
        }
        embed::stop_engine(engine).await
    };
    tokio::select! {
        stopped = stop => stopped?,
        () = interrupts.next() => return Ok(Exit::Interrupted),
    }
    ended.map(|()| Exit::Ok)
}

/// Only an agent that is there can end.
async fn agent_ended(agent: Option<&mut RunningAgent>) -> Result<(), Error> {
    match agent {
        Some(agent) => agent.ended().await,
        None => std::future::pending().await,
    }
}

fn check(args: &Serve) -> Result<(), Error> {
    if args.listen.ip().is_loopback() || args.tls_cert.is_some() || args.plaintext {
        return Ok(());
    }
    Err(Error::Usage {
        message: format!(
            "{} can be reached from other machines, and nothing would be encrypted",
            args.listen
        ),
        help: "pass --tls-cert FILE --tls-key FILE; or --plaintext where the network or a proxy protects it"
            .to_owned(),
    })
}

fn options(global: &Global, args: &Serve) -> toprung_engine::Options {
    let mut options = toprung_engine::Options::new(global.data_dir.clone());
    options.listen = args.listen;
    options.publish = true;
    options.plain_text = args.plaintext;
    options.tls =
        args.tls_cert.clone().zip(args.tls_key.clone()).map(|(cert, key)| toprung_engine::Tls { cert, key });
    options
}

/// The URL and how to use it; never the token, only where it lies.
fn greeting(global: &Global, args: &Serve, url: &str) -> String {
    let local = args.listen.ip().is_loopback();
    // On this machine the token is found by the address.
    let token = if local { "" } else { "TOPRUNG_TOKEN=… " };
    let tls = args.tls_cert.as_ref().map(|path| format!(" --tls-ca {}", path.display())).unwrap_or_default();
    let mut lines = vec![format!("toprung serves at {url}")];
    lines.push(format!("  run a search   {token}toprung run FILE --server {url}{tls}"));
    if !args.agent {
        lines.push(format!("  offer slots    {token}toprung agent --server {url}{tls}"));
    }
    lines.push(format!("  token in       {}", global.data_dir.join("token").display()));
    lines.push("  Ctrl-C stops it; experiments go on at the next start\n".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Arguments, Command};
    use clap::Parser as _;

    fn parsed(options: &[&str]) -> (Global, Serve) {
        let all = ["toprung", "serve"].iter().chain(options);
        let arguments = Arguments::parse_from(all);
        let Command::Serve(serve) = arguments.command else { panic!("not serve") };
        (arguments.global, serve)
    }

    #[test]
    fn other_machines_need_encryption_or_consent() {
        let allowed = |options: &[&str]| check(&parsed(options).1).is_ok();
        assert!(allowed(&[]));
        assert!(!allowed(&["--listen", "0.0.0.0:7070"]));
        assert!(allowed(&["--listen", "0.0.0.0:7070", "--plaintext"]));
        assert!(allowed(&["--listen", "0.0.0.0:7070", "--tls-cert", "c", "--tls-key", "k"]));
    }

    #[test]
    fn the_greeting_tells_how_to_connect() {
        let (global, args) = parsed(&["--data-dir", "/d", "--listen", "0.0.0.0:1", "--plaintext"]);
        let text = greeting(&global, &args, "http://h:1");
        assert!(text.contains("/d/token") && text.contains("toprung agent --server http://h:1"), "{text}");
        let (global, args) = parsed(&["--agent"]);
        assert!(!greeting(&global, &args, "http://h:1").contains("toprung agent"));
    }
}
