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
    let url = url_for_others(args, engine.url(), &toprung_agent::host_name());
    output::print(&greeting(global, args, &url))?;
    let mut agent = args.agent.then(|| {
        let mut options = embed::agent_options(&engine, &global.data_dir, args.slots);
        options.tls_ca = global.tls_ca.clone().or_else(|| args.tls_cert.clone());
        RunningAgent::start(options)
    });
    let mut failure = None;
    loop {
        tokio::select! {
            () = interrupts.next() => break,
            reason = engine.failed() => {
                failure = Some(Error::Engine(format!("a part of the engine failed: {reason}")));
                break;
            }
            ended = agent_ended(agent.as_mut()) => {
                agent = None;
                output::note(&without_agent(ended, engine.url()));
            }
        }
    }
    output::note("stopping; experiments go on at the next start");
    let stop = async {
        let agent = match agent {
            Some(agent) => agent.stop(AGENT_STOP).await,
            None => Ok(()),
        };
        embed::stop_engine(engine).await?;
        agent
    };
    tokio::select! {
        stopped = stop => failure.map_or(stopped.map(|()| Exit::Ok), Err),
        () = interrupts.next() => Ok(Exit::Interrupted),
    }
}

/// What is said when the agent of this process has ended by itself: others still use the server.
fn without_agent(ended: Result<(), Error>, url: &str) -> String {
    let cause = ended.err().map_or_else(|| "the agent ended".to_owned(), |error| error.to_string());
    format!(
        "warning: {cause}; the server goes on without it\n  offer slots with: toprung agent --server {url}"
    )
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

/// The URL for other machines: "any address" is none, so it is this host's name instead.
fn url_for_others(args: &Serve, url: &str, host: &str) -> String {
    match (url.split_once("://"), url.rsplit_once(':')) {
        (Some((scheme, _)), Some((_, port))) if args.listen.ip().is_unspecified() => {
            format!("{scheme}://{host}:{port}")
        }
        _ => url.to_owned(),
    }
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
    fn other_machines_are_told_the_name_of_this_one() {
        let args = parsed(&["--listen", "0.0.0.0:1", "--plaintext"]).1;
        assert_eq!(url_for_others(&args, "http://127.0.0.1:7070", "box"), "http://box:7070");
        let args = parsed(&["--listen", "[::]:1", "--tls-cert", "c", "--tls-key", "k"]).1;
        assert_eq!(url_for_others(&args, "https://[::1]:7070", "box"), "https://box:7070");
        let args = parsed(&[]).1;
        assert_eq!(url_for_others(&args, "http://127.0.0.1:7070", "box"), "http://127.0.0.1:7070");
    }

    #[test]
    fn the_end_of_its_agent_is_no_end_of_the_server() {
        let said = without_agent(Err(Error::Agent("sent away".to_owned())), "http://h:1");
        assert!(said.contains("the agent ended: sent away; the server goes on"), "{said}");
        assert!(said.contains("toprung agent --server http://h:1"), "{said}");
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
