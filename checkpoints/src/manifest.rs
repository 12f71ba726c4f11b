//! What a checkpoint consists of.

use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// A newer one is refused.
pub(crate) const VERSION: u32 = 1;
/// A larger manifest is not read: it is not one of ours.
pub(crate) const LARGEST: u64 = 64 << 20;

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Relative to the checkpoint, separated by `/`.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Of its content, in hexadecimal.
    pub sha256: String,
}

/// A symbolic link to something inside of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Relative to the checkpoint, separated by `/`.
    pub path: String,
    /// As in the link: relative to its directory.
    pub target: String,
}

/// Everything in a checkpoint, each list sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub(crate) version: u32,
    /// Regular files.
    pub files: Vec<File>,
    /// Directories with nothing in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub empty_directories: Vec<String>,
    /// Symbolic links.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

impl Manifest {
    /// Bytes of all files.
    pub fn total_size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Why it must not be used. `None`: it may.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.version > VERSION {
            return Some(format!(
                "its manifest has version {}, this program knows {VERSION}: update it",
                self.version
            ));
        }
        let files = self.files.iter().map(|file| &file.path);
        let links = self.links.iter().map(|link| &link.path);
        let all = files.chain(links).chain(&self.empty_directories);
        let outside = all.clone().find(|path| !is_plain(path));
        if let Some(path) = outside {
            return Some(format!("the name `{path}` leads out of it"));
        }
        let outside = self.links.iter().find(|link| !stays_inside(&link.path, &link.target))?;
        Some(format!("the link `{}` leads out of it", outside.path))
    }
}

/// A relative path of plain names.
fn is_plain(path: &str) -> bool {
    let plain = |part: &str| matches!(Path::new(part).components().next(), Some(Component::Normal(_)));
    !path.contains('\0') && path.split('/').all(plain)
}

/// Whether the link at `path` to `target` ends inside.
pub(crate) fn stays_inside(path: &str, target: &str) -> bool {
    let mut depth = path.split('/').count() - 1;
    Path::new(target).components().all(|component| match component {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir if depth > 0 => {
            depth -= 1;
            true
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_are_refused() {
        let with = |path: &str| Manifest {
            version: VERSION,
            files: vec![File { path: path.into(), size: 0, sha256: String::new() }],
            ..Manifest::default()
        };
        for path in ["a", "a/b.bin", "..a"] {
            assert_eq!(with(path).fault(), None, "{path}");
        }
        for path in ["", "/etc/passwd", "../x", "a/../x", "a//b", ".", "a/"] {
            assert!(with(path).fault().is_some(), "{path}");
        }
        let link = |path: &str, target: &str| {
            let links = vec![Link { path: path.into(), target: target.into() }];
            Manifest { links, ..with("a") }.fault().is_none()
        };
        assert!(link("latest", "a") && link("b/latest", "../a"));
        assert!(!link("latest", "../a") && !link("b/latest", "/etc") && !link("b/c", "../../x"));
        assert!(Manifest { version: VERSION + 1, ..with("a") }.fault().is_some());
    }
}
