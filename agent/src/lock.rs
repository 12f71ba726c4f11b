//! One daemon per state directory: an exclusive lock on `<state-dir>/lock`, in which the holder writes its process id.
//! The system releases it when the process ends, however it ends.

use crate::Error;
use std::{
    fs::{File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
    thread::sleep,
    time::Duration,
};

/// A process that is just being started holds what its parent holds, for a moment.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Held as long as the value lives.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock, or tells who has it. Blocks for at most a second.
    pub(crate) fn take(root: &Path) -> Result<Self, Error> {
        let path = root.join("lock");
        let fail = |action| {
            let path = path.clone();
            move |source| Error::StateDirectory { action, path, source }
        };
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(fail("open"))?;
        for last in (0..TRIES).rev() {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if last > 0 => sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    // Only for the message.
                    let read = file.read_to_string(&mut holder).is_ok();
                    let holder = holder.trim().parse().ok().filter(|_| read);
                    return Err(Error::InUse { path: root.to_owned(), holder });
                }
                Err(TryLockError::Error(source)) => return Err(fail("lock")(source)),
            }
        }
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        // The content is for people only: a full disk must not keep the agent from starting.
        if let Err(error) = write(&mut file) {
            tracing::debug!(%error, path = %path.display(), "cannot write the process id");
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let held = StateLock::take(root.path()).unwrap();
        let refused = StateLock::take(root.path()).unwrap_err();
        assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
        drop(held);
        StateLock::take(root.path()).unwrap();
    }
}
