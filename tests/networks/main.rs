//! Engine and agents on networks of their own, whose links are cut, delayed, open in one direction only, and flapping.
//!
//! Each test has a router and a host for the engine and for each agent: network namespaces with `veth` pairs. That needs
//! root and `ip` (iproute2); where namespaces are not allowed the tests say so and do nothing. What is dropped is dropped
//! by the router without a word to either side. Beyond loopback TLS and the token are needed, as for any user.
//!
//! The trials are those of `tests/kills`: recorded curves, and a book of what was said and accepted.

#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../kills/book.rs"]
mod book;
#[path = "../kills/curve.rs"]
mod curve;
#[path = "../end_to_end/document.rs"]
mod document;
#[path = "../kills/journal.rs"]
mod journal;
#[path = "../end_to_end/processes.rs"]
mod processes;
#[path = "../end_to_end/workplace.rs"]
mod workplace;

mod net;
mod scenarios;
mod site;
mod slow_line;

/// No test: the process of a trial. The agent starts this very binary with `trial --exact`.
#[test]
fn trial() {
    if std::env::var_os("TOPRUNG_SOCKET").is_some() {
        curve::train();
    }
}
