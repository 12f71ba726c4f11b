//! Model archives: files `models/<sha256>.tar.zst`, named by their content, shared by experiments.
//!
//! A model is needed as long as the first journal record of some experiment names it. One that was put and not yet
//! named is held in memory (`claimed` ends that), so that deleting another experiment cannot take it away in between.
//! What nobody named before the process ended goes away when the store is opened again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::Error;
use crate::files::{FileReader, Files};

const ENDING: &str = ".tar.zst";

/// The model archives of a store.
#[derive(Debug)]
pub struct Models {
    files: Arc<Files>,
    /// Puts not yet named by an experiment, by digest. Also the lock between putting and removing.
    held: Mutex<BTreeMap<String, u32>>,
}

impl Models {
    pub(crate) fn new(files: Arc<Files>) -> Self {
        Self { files, held: Mutex::default() }
    }

    /// Keeps an archive and returns its SHA-256 in lowercase hexadecimal; durable when it returns. Putting the same
    /// bytes again is cheap.
    pub fn put(&self, bytes: &[u8]) -> Result<String, Error> {
        let sha256 = hexadecimal(&Sha256::digest(bytes));
        let mut held = self.held();
        if self.files.open(&path(&sha256))?.is_none_or(|file| file.size() != bytes.len() as u64) {
            self.files.write_whole(&path(&sha256), bytes)?;
        }
        *held.entry(sha256.clone()).or_default() += 1;
        Ok(sha256)
    }

    /// Opens an archive. A digest that is not in the store, or is no digest, is [`Error::ModelNotFound`].
    pub fn open(&self, sha256: &str) -> Result<FileReader, Error> {
        let missing = || Error::ModelNotFound { sha256: sha256.to_owned() };
        if !is_digest(sha256) {
            return Err(missing());
        }
        self.files.open(&path(sha256))?.ok_or_else(missing)
    }

    /// An experiment that names the model is durable.
    pub(crate) fn claimed(&self, sha256: &str) {
        let mut held = self.held();
        if let Some(count) = held.get_mut(sha256) {
            *count -= 1;
            if *count == 0 {
                held.remove(sha256);
            }
        }
    }

    /// Removes those of `candidates` that are neither held nor, as `needed` tells under the lock, named.
    pub(crate) fn remove_unless(
        &self,
        candidates: &[String],
        needed: impl FnOnce() -> Result<Vec<String>, Error>,
    ) -> Result<(), Error> {
        let held = self.held();
        let needed = needed()?;
        for sha256 in candidates {
            if is_digest(sha256) && !held.contains_key(sha256) && !needed.contains(sha256) {
                self.files.remove(&path(sha256))?;
            }
        }
        Ok(())
    }

    /// The digests of all archives.
    pub(crate) fn all(&self) -> Result<Vec<String>, Error> {
        let names = self.files.names("models")?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(ENDING)).map(str::to_owned).collect())
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path(sha256: &str) -> String {
    format!("models/{sha256}{ENDING}")
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn models_are_named_by_their_content() {
        let models = Models::new(Arc::new(Files::in_memory()));
        let sha256 = models.put(b"abc").unwrap();
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mut content = String::new();
        models.open(&sha256).unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "abc");
        assert!(matches!(models.open("../token"), Err(Error::ModelNotFound { .. })));
    }

    #[test]
    fn a_model_stays_while_it_is_held_or_named() {
        let models = Models::new(Arc::new(Files::in_memory()));
        let sha256 = models.put(b"abc").unwrap();
        let candidates = [sha256.clone()];
        models.remove_unless(&candidates, || Ok(Vec::new())).unwrap();
        assert!(models.open(&sha256).is_ok(), "held");
        models.claimed(&sha256);
        models.remove_unless(&candidates, || Ok(vec![sha256.clone()])).unwrap();
        assert!(models.open(&sha256).is_ok(), "named");
        models.remove_unless(&candidates, || Ok(Vec::new())).unwrap();
        assert!(models.open(&sha256).is_err());
    }
}
