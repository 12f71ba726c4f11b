//! A database file that the disk has damaged, opened without a clean end before: an error, a broken journal, or (what
//! the database cannot tell from a write that never came) a journal that ends early; never a panic, never a wrong record.

use std::os::unix::fs::FileExt;

use toprung_store::{Batch, Error, Options, Store};

use crate::{record, write};

const RECORDS: u64 = 600;

fn reason(sequence: u64) -> String {
    // Digits without a pattern, so that they are stored as long as they are.
    (1..60).map(|index| (sequence * 7919 + index).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()).collect()
}

/// How many records are read, and whether a break ends them; each must be the one that was written.
fn sound_records(store: &Store) -> (u64, bool) {
    let journal = match store.journal(1, 1) {
        Ok(journal) => journal,
        Err(error) => panic!("the first page needs no record before it: {error}"),
    };
    let mut sound = 0;
    for found in journal {
        match found {
            Ok(found) => assert_eq!(found, record(sound + 1, &reason(sound + 1))),
            Err(Error::BrokenJournal { sequence, .. }) => {
                assert_eq!(sequence, sound + 1);
                return (sound, true);
            }
            Err(Error::Corrupt { .. } | Error::Database { .. } | Error::Io { .. }) => return (sound, true),
            Err(other) => panic!("{other}"),
        }
        sound += 1;
    }
    (sound, false)
}

#[test]
fn a_zeroed_page_anywhere_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    for sequence in 1..=RECORDS {
        write(&store, Batch { journal: vec![(1, record(sequence, &reason(sequence)))], ..Batch::default() })
            .unwrap();
    }
    drop(store);
    let database = dir.path().join("db/db");
    let pages = std::fs::metadata(&database).unwrap().len() / 4096;
    let (mut refused, mut broken, mut cut) = (0, 0, 0);
    for page in (0..pages).step_by((pages as usize / 12).max(1)) {
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir(copy.path().join("db")).unwrap();
        std::fs::copy(dir.path().join("format"), copy.path().join("format")).unwrap();
        for name in ["db/db", "db/conf"] {
            std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let file = std::fs::File::options().write(true).open(copy.path().join("db/db")).unwrap();
        file.write_all_at(&[0; 4096], page * 4096).unwrap();
        match Store::open(copy.path(), Options::default()) {
            Ok(store) => match sound_records(&store) {
                (RECORDS, false) => {}
                (_, true) => broken += 1,
                (_, false) => cut += 1,
            },
            Err(Error::Corrupt { .. } | Error::Database { .. } | Error::Io { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    println!("of {pages} pages: {refused} refused, {broken} broken journals, {cut} cut journals");
}
