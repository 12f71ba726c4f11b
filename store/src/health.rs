//! Whether the store takes writes, for those who tell people.

use tokio::sync::watch;

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
    pub(crate) fn note(&self, outcome: &Result<(), crate::Error>) {
        let found = match outcome {
            Ok(()) => Health::Ok,
            // A fault of the batch, not of the disk.
            Err(crate::Error::TooLarge { .. }) => return,
            Err(error) => Health::Degraded { reason: format!("store cannot write: {error}") },
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
