//! What the agent says, as tests wait for it.

use toprung_proto::v1::{self, AttemptEvent, attempt_event};

use super::Bench;

impl Bench {
    /// The next acknowledged event with its attempt.
    pub async fn whole_event(&mut self) -> AttemptEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.hear().await;
        }
    }

    /// The next acknowledged event, whatever it is.
    pub async fn event(&mut self) -> attempt_event::Kind {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event.kind.unwrap();
            }
            self.hear().await;
        }
    }

    /// Hears one message more, as long as the deadline allows.
    pub async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            self.hear().await;
        }
    }

    /// The next report.
    pub async fn report(&mut self) -> v1::Report {
        loop {
            match self.event().await {
                attempt_event::Kind::Report(report) => return report,
                attempt_event::Kind::Exit(exit) => panic!("no report before the exit: {exit:?}"),
                _ => {}
            }
        }
    }

    /// The exit, with the reports and checkpoints before it.
    pub async fn exit(&mut self) -> (v1::Exit, Vec<v1::Report>, Vec<v1::Checkpoint>) {
        let (mut reports, mut checkpoints) = (Vec::new(), Vec::new());
        loop {
            match self.event().await {
                attempt_event::Kind::Report(report) => reports.push(report),
                attempt_event::Kind::Checkpoint(checkpoint) => checkpoints.push(checkpoint),
                attempt_event::Kind::Exit(exit) => return (exit, reports, checkpoints),
                _ => {}
            }
        }
    }

    /// Waits until the process has started.
    pub async fn started(&mut self) -> i32 {
        loop {
            match self.event().await {
                attempt_event::Kind::Started(started) => return started.pid,
                attempt_event::Kind::Exit(exit) => panic!("not started: {exit:?}"),
                _ => {}
            }
        }
    }

    /// Waits for a printed line.
    pub async fn line(&mut self, text: &str) {
        self.until(|bench| bench.log.iter().any(|line| line == text)).await;
    }
}
