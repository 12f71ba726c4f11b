//! The end of a checkpoint: its manifest goes first, so that one which is half deleted is absent.

use crate::{Error, Key, Remote, key};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, path::Path};

impl Remote {
    /// Deletes a checkpoint, complete or not. One that is not there counts as deleted.
    ///
    /// # Errors
    /// The store refuses, or does not answer; then the rest may be deleted by another call.
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        let manifest = key.manifest(&self.place)?;
        let removed = self.store.delete(&manifest).await;
        self.unless_absent(removed, &manifest)?;
        let folder = key.folder(&self.place)?;
        let found = self.store.list(Some(&folder)).map_ok(|object| object.location).boxed();
        let mut removed = self.store.delete_stream(found);
        while let Some(one) = removed.next().await {
            self.unless_absent(one.map(drop), &folder)?;
        }
        Ok(())
    }

    /// The complete checkpoints of an experiment, sorted.
    ///
    /// # Errors
    /// The store refuses, or does not answer.
    pub async fn list(&self, experiment: u64) -> Result<Vec<Key>, Error> {
        let folder = key::prefix(&self.place).join(experiment.to_string());
        let mut found = self.store.list(Some(&folder));
        let mut keys = Vec::new();
        while let Some(object) = found.next().await {
            let object = object.map_err(|error| Error::of_store(&self.place, "list", &folder, &error))?;
            keys.extend(complete(experiment, &folder, &object.location));
        }
        keys.sort();
        Ok(keys)
    }

    fn unless_absent(&self, result: object_store::Result<()>, at: &Path) -> Result<(), Error> {
        match result {
            Err(StoreError::NotFound { source, .. }) if !Error::is_of_bucket(source.as_ref()) => Ok(()),
            Err(error) => Err(Error::of_store(&self.place, "delete", at, &error)),
            Ok(()) => Ok(()),
        }
    }
}

/// The checkpoint of which this object is the manifest.
fn complete(experiment: u64, folder: &Path, object: &Path) -> Option<Key> {
    let parts: Vec<_> = object.prefix_match(folder)?.map(|part| part.as_ref().to_owned()).collect();
    let [trial, uuid, name] = parts.as_slice() else { return None };
    (name == "manifest.json").then_some(())?;
    Some(Key { experiment, trial: trial.parse().ok()?, uuid: uuid.clone() })
}
