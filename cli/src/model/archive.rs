//! Packs a model directory: a zstd-compressed tar that depends on nothing but paths, contents and the executable bit.

use super::listing::{LIMIT, Listing, is_missing};
use crate::errors::Error;
use crate::output::format;
use std::path::Path;

/// Fast, and close to the best for source code.
const LEVEL: i32 = 3;

/// The archive. `progress` is told how many bytes were packed so far.
pub(crate) fn pack(listing: &Listing, mut progress: impl FnMut(u64)) -> Result<Vec<u8>, Error> {
    let failed = || format!("cannot pack {}", listing.directory.display());
    let encoder = zstd::Encoder::new(Vec::new(), LEVEL).map_err(Error::io(failed()))?;
    let mut builder = tar::Builder::new(encoder);
    builder.mode(tar::HeaderMode::Deterministic);
    let mut packed = 0;
    for file in &listing.files {
        packed += append(&mut builder, &listing.directory, &file.path)?;
        if packed > LIMIT {
            return Err(grown(listing, packed));
        }
        progress(packed);
    }
    let encoder = builder.into_inner().map_err(Error::io(failed()))?;
    encoder.finish().map_err(Error::io(failed()))
}

/// Adds one file; returns its size. One that is gone since it was listed (something writes in the directory) is left out, as it
/// would have been a moment later.
fn append<W: std::io::Write>(
    builder: &mut tar::Builder<W>,
    directory: &Path,
    path: &Path,
) -> Result<u64, Error> {
    let full = directory.join(path);
    let failed = || format!("cannot pack {}", full.display());
    // Read first: a file that grows meanwhile would break the archive.
    let read = std::fs::read(&full).and_then(|content| Ok((content, is_executable(&full)?)));
    let (content, executable) = match read {
        Err(error) if is_missing(&error) => return Ok(0),
        read => read.map_err(Error::io(failed()))?,
    };
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_entry_type(tar::EntryType::Regular);
    builder.append_data(&mut header, path, content.as_slice()).map_err(Error::io(failed()))?;
    Ok(content.len() as u64)
}

fn is_executable(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o111 != 0)
}

fn grown(listing: &Listing, packed: u64) -> Error {
    Error::Model {
        message: format!(
            "the model directory {} grew to more than {} while it was packed",
            listing.directory.display(),
            format::bytes(packed)
        ),
        help: "exclude files that are being written in .toprungignore".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn packed(root: &Path) -> Vec<u8> {
        pack(&Listing::of(root, &root.join("state")).unwrap(), |_| {}).unwrap()
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (root, order) in [(one.path(), ["b.py", "a.py"]), (two.path(), ["a.py", "b.py"])] {
            for name in order {
                fs::write(root.join(name), name).unwrap();
            }
        }
        let old = fs::File::open(two.path().join("a.py")).unwrap();
        old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(packed(one.path()), packed(two.path()));
        fs::write(two.path().join("a.py"), "changed").unwrap();
        assert_ne!(packed(one.path()), packed(two.path()));
    }

    #[test]
    fn paths_contents_and_the_executable_bit_arrive() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let script = dir.path().join("sub/run.sh");
        fs::write(&script, "echo hi").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o750)).unwrap();
        let tar = zstd::decode_all(packed(dir.path()).as_slice()).unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap(), Path::new("sub/run.sh"));
        assert_eq!(entry.header().mode().unwrap(), 0o755);
        assert_eq!(entry.header().mtime().unwrap(), 0);
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        assert_eq!(content, "echo hi");
        assert!(entries.next().is_none());
    }

    #[test]
    fn what_is_gone_since_it_was_listed_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let listing = Listing::of(dir.path(), Path::new("state")).unwrap();
        fs::remove_file(dir.path().join("a")).unwrap();
        assert_eq!(pack(&listing, |_| {}).unwrap(), packed(dir.path()));
    }

    #[test]
    fn progress_ends_with_the_size() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "12345").unwrap();
        let mut last = 0;
        pack(&Listing::of(dir.path(), Path::new("state")).unwrap(), |bytes| last = bytes).unwrap();
        assert_eq!(last, 5);
    }
}
