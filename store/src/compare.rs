//! Whether the tree is what base and redo log make.

use std::collections::BTreeMap;

use crate::Error;
use crate::backend::{Backend, Order, Write};
use crate::base;
use crate::disk::Disk;
use crate::keys::{self, APPLIED};
use crate::redo;

/// Entries read at once.
const PAGE: usize = 512;
/// Differences told apart.
const NAMED: usize = 50;

/// Tells the differences. Holds the keys that the log changes in memory, not their values.
pub(crate) fn compare(disk: &dyn Disk, tree: &dyn Backend, until: u64) -> Result<Vec<String>, Error> {
    let Some((start, name)) = base::newest(disk)? else {
        return Ok(vec!["no base of the redo log is left".to_owned()]);
    };
    let mut changed: BTreeMap<Vec<u8>, Option<u32>> = BTreeMap::new();
    redo::replay(disk, start..until, &mut |_, writes| {
        changed
            .extend(writes.into_iter().map(|write| (write.key, write.value.as_deref().map(crc32fast::hash))));
        Ok(())
    })?;
    let mut found = Differences { problems: Vec::new(), entries: 0 };
    base::read(disk, &name, &mut |writes| {
        for Write { key, value } in writes {
            if !changed.contains_key(&key) {
                found.entry(tree, &key, value.as_deref().map(crc32fast::hash))?;
            }
        }
        Ok(())
    })?;
    for (key, value) in &changed {
        found.entry(tree, key, *value)?;
    }
    let entries = count(tree)?;
    if entries != found.entries {
        found
            .problems
            .push(format!("the database has {entries} entries, base and log make {}", found.entries));
    }
    Ok(found.problems)
}

struct Differences {
    problems: Vec<String>,
    entries: u64,
}

impl Differences {
    fn entry(&mut self, tree: &dyn Backend, key: &[u8], expected: Option<u32>) -> Result<(), Error> {
        self.entries += u64::from(expected.is_some());
        let value = tree.get(key)?;
        if value.as_deref().map(crc32fast::hash) != expected && self.problems.len() < NAMED {
            let key = key.escape_ascii();
            self.problems.push(format!("the database has another value of {key} than base and log"));
        }
        Ok(())
    }
}

fn count(tree: &dyn Backend) -> Result<u64, Error> {
    let mut range = keys::after(APPLIED)..vec![0xff];
    let mut entries = 0;
    loop {
        let page = tree.page(&range, PAGE, Order::Ascending)?;
        let Some((last, _)) = page.last() else {
            return Ok(entries);
        };
        range.start = keys::after(last);
        entries += page.len() as u64;
    }
}
