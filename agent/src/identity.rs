//! Names: of attempts, of this instance of the agent, of checkpoints.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use toprung_proto::v1;

/// One execution of a trial. A larger `attempt` of the same trial fences off the smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptKey {
    /// The experiment.
    pub experiment: u64,
    /// The trial in it.
    pub trial: u32,
    /// Its attempt, from 1.
    pub attempt: u32,
}

impl AttemptKey {
    /// The attempt that `id` names; an absent id names none.
    pub fn from_wire(id: Option<&v1::AttemptId>) -> Option<Self> {
        id.map(|id| Self { experiment: id.experiment, trial: id.trial, attempt: id.attempt })
    }

    /// Its name on the wire.
    pub fn to_wire(self) -> v1::AttemptId {
        v1::AttemptId { experiment: self.experiment, trial: self.trial, attempt: self.attempt }
    }
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.experiment, self.trial, self.attempt)
    }
}

/// 64 unpredictable bits: a keyed hash (the key is the system's randomness) over time and a counter.
pub(crate) fn random_bits() -> u64 {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let draw = DRAWN.fetch_add(1, Ordering::Relaxed);
    RandomState::new().hash_one((draw, Instant::now(), std::process::id()))
}

/// A random (version 4) UUID in its usual form.
pub(crate) fn random_uuid() -> String {
    let (high, low) = (random_bits(), random_bits());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// Milliseconds since 1970, as on the wire.
pub(crate) fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as i64)
}

/// The host's name, or `localhost` where the system has none.
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_the_usual_form_and_differ() {
        let (first, second) = (random_uuid(), random_uuid());
        assert_ne!(first, second);
        assert_eq!(first.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(&first[14..15], "4");
    }
}
