//! A server and its agents, that are killed and started again.

use crate::processes::{Running, wait_until};
use crate::workplace::Workplace;
use nix::sys::signal::Signal;
use serde_json::Value;

/// See the module.
pub struct Cluster<'a> {
    place: &'a Workplace,
    pub address: String,
    server: Option<Running>,
    agents: Vec<Option<Running>>,
    slots: u32,
}

impl<'a> Cluster<'a> {
    /// A server and so many agents; returns when the server serves.
    pub fn start(place: &'a Workplace, agents: usize, slots: u32) -> Self {
        let mut server = place.start(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "server"]);
        server.wait_for("toprung serves at");
        let file = place.work().join("server/server.json");
        let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).ok()?).ok();
        let url = wait_until("server.json", String::new, read)["url"].as_str().unwrap().to_owned();
        let address = url.trim_start_matches("http://").to_owned();
        let mut cluster = Self { place, address, server: Some(server), agents: Vec::new(), slots };
        for index in 0..agents {
            cluster.agents.push(None);
            cluster.start_agent(index);
        }
        cluster
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Processes of the server and of the agents that run.
    pub fn pids(&self) -> (u32, Vec<u32>) {
        let agents = self.agents.iter().flatten().map(Running::pid).collect();
        (self.server.as_ref().unwrap().pid(), agents)
    }

    /// Starts the server where it was; does not wait.
    pub fn start_server(&mut self) {
        let arguments = ["serve", "--listen", &self.address, "--data-dir", "server"];
        self.server = Some(self.place.start(&arguments));
    }

    pub fn wait_for_server(&mut self) {
        self.server.as_mut().unwrap().wait_for("toprung serves at");
    }

    /// Starts an agent where it was; does not wait.
    pub fn start_agent(&mut self, index: usize) {
        let (name, slots, url) = (format!("agent-{index}"), self.slots.to_string(), self.url());
        let options = ["agent", "--name", &name, "--slots", &slots, "--state-dir", &name, "--server", &url];
        self.agents[index] = Some(self.place.start(&options));
    }

    pub fn kill_server(&mut self) {
        end(self.server.take().unwrap());
    }

    pub fn kill_agent(&mut self, index: usize) {
        end(self.agents[index].take().unwrap());
    }

    /// Both at the same moment.
    pub fn kill_both(&mut self, index: usize) {
        let (server, agent) = (self.server.take().unwrap(), self.agents[index].take().unwrap());
        server.signal(Signal::SIGKILL);
        agent.signal(Signal::SIGKILL);
        server.wait().expect(-1);
        agent.wait().expect(-1);
    }

    /// Ends everything in the ordinary way; answers what each process said.
    pub fn stop(mut self) -> String {
        let agents: Vec<Running> = self.agents.drain(..).flatten().collect();
        let mut said = String::new();
        for process in agents.into_iter().chain(self.server.take()) {
            process.signal(Signal::SIGTERM);
            let answer = process.wait().expect(0);
            said.push_str(&answer.err);
        }
        said
    }
}

fn end(process: Running) {
    process.signal(Signal::SIGKILL);
    process.wait().expect(-1);
}
