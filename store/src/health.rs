//! Whether the store takes writes, for those who tell people.

use tokio::sync::watch;

use crate::Error;

/// Whether the store takes writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// It does.
    #[default]
    Ok,
    /// It does not, and will again by itself when the cause is gone. Nothing acknowledged is lost.
    Degraded {
        /// Why, beginning with "store cannot write".
        reason: String,
    },
}

/// What is wrong and what ends it, for people.
fn reason(error: &Error) -> String {
    match error {
        Error::DiskFull { dir, free, needed } => format!(
            "store cannot write (No space left on device: {} MiB free in {}; goes on by itself when {} MiB are free)",
            free >> 20,
            dir.display(),
            needed >> 20
        ),
        error => format!("store cannot write ({error}; tried again every second, goes on by itself)"),
    }
}

/// The health of a store, seen by everybody who watches.
#[derive(Debug)]
pub(crate) struct State(watch::Sender<Health>);

impl State {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Health::Ok))
    }

    pub(crate) fn is_ok(&self) -> bool {
        *self.0.borrow() == Health::Ok
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }

    /// Notes the outcome of a write. Changes are logged once, not with every failure.
    pub(crate) fn note(&self, outcome: &Result<(), Error>) {
        let found = match outcome {
            Ok(()) => Health::Ok,
            // A fault of the batch, not of the disk.
            Err(Error::TooLarge { .. }) => return,
            Err(error) => Health::Degraded { reason: reason(error) },
        };
        self.0.send_if_modified(|health| {
            let turned = (*health == Health::Ok) != (found == Health::Ok);
            match &found {
                Health::Degraded { reason } if turned => tracing::error!(reason, "degraded"),
                Health::Ok if turned => tracing::info!("the store takes writes again"),
                _ => {}
            }
            let changed = *health != found;
            *health = found;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_its_cure_and_heals() {
        let state = State::new();
        state.note(&Err(Error::TooLarge { what: "a record", size: 2, limit: 1 }));
        assert!(state.is_ok(), "a fault of the batch");
        state.note(&Err(Error::DiskFull { dir: "/data".into(), free: 12 << 20, needed: 32 << 20 }));
        let Health::Degraded { reason } = state.watch().borrow().clone() else { panic!("healthy") };
        let expected = "store cannot write (No space left on device: 12 MiB free in /data; goes on by itself when 32 MiB are free)";
        assert_eq!(reason, expected);
        state.note(&Ok(()));
        assert!(state.is_ok());
    }
}
