//! What can go wrong, and what to do. No message holds a credential.

use crate::place::Place;
use std::{fmt::Write as _, io, path::Path};

/// Longest part of a message that comes from a server.
const LONGEST_ANSWER: usize = 400;

/// What went wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The storage is not described well enough: correct `checkpoint_storage` or the environment.
    #[error("cannot use {place}: {reason}")]
    Place {
        /// Which storage.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The bucket or container is not there: create it, or correct its name.
    #[error("{place} is not there ({answer}); create it, or correct its name in checkpoint_storage")]
    NoBucket {
        /// Which bucket.
        place: String,
        /// What the server said.
        answer: String,
    },
    /// The credentials are refused or missing.
    #[error(
        "{place} refuses to {action} {key}: {answer}; the account must be allowed to list, get, put and delete \
         objects; {advice}"
    )]
    Refused {
        /// Which bucket.
        place: String,
        /// What was tried.
        action: &'static str,
        /// Which object.
        key: String,
        /// What the server said.
        answer: String,
        /// Where credentials come from.
        advice: &'static str,
    },
    /// The server does not answer, or answers that it cannot: may pass.
    #[error("cannot {action} {key} in {place}: {answer}")]
    Failed {
        /// Which bucket.
        place: String,
        /// What was tried.
        action: &'static str,
        /// Which object.
        key: String,
        /// What happened.
        answer: String,
    },
    /// The checkpoint has no manifest: it was deleted, or never completed.
    #[error("there is no complete checkpoint at {address}")]
    Absent {
        /// Where it should be.
        address: String,
    },
    /// What is stored is not what was saved: use another checkpoint.
    #[error("{file} of {address} is damaged: {what}")]
    Damaged {
        /// Which checkpoint.
        address: String,
        /// Which file.
        file: String,
        /// What differs.
        what: String,
    },
    /// A file changed while it was being saved: the script must not touch a checkpoint after it has handed it over.
    #[error("{file} has changed while the checkpoint was saved")]
    Changed {
        /// Which file.
        file: String,
    },
    /// The checkpoint holds something that cannot be stored.
    #[error("a checkpoint cannot hold {file}: {reason}")]
    Unstorable {
        /// Which entry.
        file: String,
        /// Why.
        reason: String,
    },
    /// The local disk failed.
    #[error("{action} {path}: {source}")]
    Local {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody doing something.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    pub(crate) fn local(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.display().to_string();
        move |source| Self::Local { action, path, source }
    }

    /// Whether the store says, in this error or its causes, that there is no such bucket: by the code of S3 and Google,
    /// or of Azure. As an element, because names of objects are in the text, too.
    pub(crate) fn is_of_bucket(error: &(dyn std::error::Error + 'static)) -> bool {
        let codes = ["<Code>NoSuchBucket<", "<Code>ContainerNotFound<"];
        std::iter::successors(Some(error), |error| error.source())
            .any(|error| codes.iter().any(|code| error.to_string().contains(code)))
    }

    /// What a store's error means. `key`: the object it was about.
    pub(crate) fn of_store(
        place: &Place,
        action: &'static str,
        key: &object_store::path::Path,
        error: &object_store::Error,
    ) -> Self {
        let (name, key, answer) = (place.to_string(), key.to_string(), answer(place, error));
        let no_credentials = answer.contains("169.254.") || answer.contains("metadata.google");
        match error {
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::Refused { place: name, action, key, answer, advice: place.advice() }
            }
            _ if no_credentials => {
                let answer = "no credentials were found".to_owned();
                Self::Refused { place: name, action, key, answer, advice: place.advice() }
            }
            _ if Self::is_of_bucket(error) => Self::NoBucket { place: name, answer },
            object_store::Error::NotFound { .. } => Self::NoBucket { place: name, answer },
            _ => Self::Failed { place: name, action, key, answer },
        }
    }
}

/// The error with its causes on one line, without secrets and not too long.
fn answer(place: &Place, error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            // Writing into a text cannot fail.
            let _infallible = write!(text, ": {more}");
        }
        cause = inner.source();
    }
    let mut text = place.without_secrets(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    if let Some((cut, _)) = text.char_indices().nth(LONGEST_ANSWER) {
        text.truncate(cut);
        text.push('…');
    }
    text
}
