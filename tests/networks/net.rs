//! A small network: the engine's host, two agents' hosts, and a router between them.
//!
//! ```text
//! engine 10.77.0.1 ── 10.77.0.254 ┐
//! agent 0 10.77.1.1 ─ 10.77.1.254 ┤ router
//! agent 1 10.77.2.1 ─ 10.77.2.254 ┘
//! ```

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the engine listens.
pub const ENGINE: &str = "10.77.0.1:7070";

/// What the router drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    FromAgent,
    ToAgent,
    Both,
}

/// See the module. Gone when it is dropped.
pub struct Net {
    name: String,
}

fn try_ip(arguments: &[&str]) -> Result<(), String> {
    let done = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
}

fn ip(arguments: &[&str]) {
    try_ip(arguments).unwrap();
}

impl Net {
    /// `None`, with a line that says why: network namespaces are not to be had here.
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let net = Self { name: format!("tr{}x{count}", std::process::id()) };
        if let Err(problem) = net.is_allowed() {
            println!("skipped: no network namespaces here: {problem}");
            return None;
        }
        for host in ["e", "a0", "a1"] {
            ip(&["netns", "add", &net.host(host)]);
        }
        net.link("e", 0);
        net.link("a0", 1);
        net.link("a1", 2);
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        ip(&["netns", "exec", &net.host("r"), "sh", "-c", forward]);
        Some(net)
    }

    /// Makes the router, and removes it again if it cannot be entered.
    fn is_allowed(&self) -> Result<(), String> {
        let router = self.host("r");
        try_ip(&["netns", "add", &router])?;
        try_ip(&["-n", &router, "link", "set", "lo", "up"])?;
        try_ip(&["netns", "exec", &router, "true"])?;
        try_ip(&["-n", &router, "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"])?;
        try_ip(&["-n", &router, "link", "del", "probe0"])?;
        try_ip(&["-n", &router, "rule", "show"])
    }

    /// The namespace of a host: `e`, `a0`, `a1` or `r`.
    pub fn host(&self, host: &str) -> String {
        format!("{}{host}", self.name)
    }

    /// The file that stands for a host's network.
    pub fn file(&self, host: &str) -> String {
        format!("/run/netns/{}", self.host(host))
    }

    fn link(&self, host: &str, subnet: u8) {
        let (end, router) = (self.host(host), self.host("r"));
        let port = format!("to-{host}");
        ip(&["-n", &router, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &end]);
        ip(&["-n", &router, "addr", "add", &format!("10.77.{subnet}.254/24"), "dev", &port]);
        ip(&["-n", &router, "link", "set", &port, "up"]);
        ip(&["-n", &end, "addr", "add", &format!("10.77.{subnet}.1/24"), "dev", "eth0"]);
        ip(&["-n", &end, "link", "set", "lo", "up"]);
        ip(&["-n", &end, "link", "set", "eth0", "up"]);
        ip(&["-n", &end, "route", "add", "default", "via", &format!("10.77.{subnet}.254")]);
    }

    /// From now on the router drops this, until [`heal`](Self::heal).
    pub fn cut(&self, agent: usize, dropped: Dropped) {
        if dropped != Dropped::ToAgent {
            self.rule("add", "from", agent);
        }
        if dropped != Dropped::FromAgent {
            self.rule("add", "to", agent);
        }
    }

    /// Nothing of this agent is dropped any more.
    pub fn heal(&self, agent: usize, dropped: Dropped) {
        if dropped != Dropped::ToAgent {
            self.rule("del", "from", agent);
        }
        if dropped != Dropped::FromAgent {
            self.rule("del", "to", agent);
        }
    }

    fn rule(&self, action: &str, side: &str, agent: usize) {
        let address = format!("10.77.{}.1", agent + 1);
        ip(&["-n", &self.host("r"), "rule", action, side, &address, "blackhole"]);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in ["r", "e", "a0", "a1"].map(|host| self.host(host)) {
            if Path::new("/run/netns").join(&host).exists()
                && let Err(problem) = try_ip(&["netns", "del", &host])
            {
                println!("{problem}");
            }
        }
    }
}
