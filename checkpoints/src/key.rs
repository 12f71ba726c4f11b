//! Which objects belong to a checkpoint.

use crate::{Error, place::Place};
use object_store::path::{Path, PathPart};

/// Names a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Number of the experiment.
    pub experiment: u64,
    /// Number of the trial.
    pub trial: u32,
    /// Its own name: hexadecimal digits and `-`.
    pub uuid: String,
}

impl Key {
    /// Everything of it lies below this.
    pub(crate) fn folder(&self, place: &Place) -> Result<Path, Error> {
        let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        if self.uuid.is_empty() || !self.uuid.bytes().all(plain) {
            let reason = format!("`{}` is no name of a checkpoint", self.uuid);
            return Err(Error::Place { place: place.to_string(), reason });
        }
        let parts = [self.experiment.to_string(), self.trial.to_string(), self.uuid.clone()];
        let prefix = prefix(place);
        Ok(prefix.parts().chain(parts.iter().map(|part| PathPart::from(part.as_str()))).collect())
    }

    pub(crate) fn manifest(&self, place: &Place) -> Result<Path, Error> {
        Ok(self.folder(place)?.join("manifest.json"))
    }

    /// A file of it; `relative` is separated by `/`.
    pub(crate) fn file(&self, place: &Place, relative: &str) -> Result<Path, Error> {
        let files = self.folder(place)?.join("files");
        Ok(relative.split('/').fold(files, Path::join))
    }
}

pub(crate) fn prefix(place: &Place) -> Path {
    let parts = place.prefix().split('/').filter(|part| !part.is_empty());
    parts.map(PathPart::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(prefix: &str) -> Place {
        Place::Gcs { bucket: "b".into(), prefix: prefix.into() }
    }

    #[test]
    fn objects_lie_below_prefix_experiment_trial_and_name() {
        let key = Key { experiment: 3, trial: 7, uuid: "ab-12".into() };
        assert_eq!(key.manifest(&place("")).unwrap().to_string(), "3/7/ab-12/manifest.json");
        let file = key.file(&place("/team/x/"), "manifest.json").unwrap();
        assert_eq!(
            file.to_string(),
            "team/x/3/7/ab-12/files/manifest.json",
            "no file is taken for the manifest"
        );
        let odd = [key.file(&place(""), "a%2Fb").unwrap(), key.file(&place(""), "a/b").unwrap()];
        assert_ne!(odd[0], odd[1]);
    }

    #[test]
    fn a_name_cannot_lead_elsewhere() {
        for uuid in ["", "..", "a/b", "x"] {
            let key = Key { experiment: 3, trial: 7, uuid: uuid.into() };
            assert!(key.folder(&place("")).is_err(), "{uuid}");
        }
    }
}
