//! What is saved comes back, and what is deleted is gone.

use crate::cases::{self, Bucket};
use crate::server::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};
use std::{
    fs,
    path::Path,
    sync::{Mutex, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};
use toprung_checkpoints::{Key, Limits, Place, Remote, Secret, read_tree};

/// Small parts, so that a test's file has several; short waits.
pub fn limits() -> Limits {
    Limits {
        files: 3,
        memory: 12 << 20,
        part: 5 << 20,
        request: Duration::from_secs(20),
        tries: Duration::from_secs(2),
    }
}

pub fn place(server: &S3Server) -> Place {
    Place::S3 {
        bucket: BUCKET.into(),
        prefix: "team/a".into(),
        endpoint_url: server.url(),
        access_key: Secret(ACCESS_KEY.into()),
        secret_key: Secret(SECRET_KEY.into()),
    }
}

pub fn remote(server: &S3Server) -> Remote {
    Remote::open(place(server), limits()).unwrap()
}

pub fn key(uuid: &str) -> Key {
    Key { experiment: 1, trial: 2, uuid: uuid.into() }
}

/// Bytes that do not repeat in any part.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A checkpoint with everything that one may hold.
pub fn saved(root: &Path) {
    fs::create_dir_all(root.join("inner/empty")).unwrap();
    fs::write(root.join("weights.bin"), bytes((17 << 20) + 3)).unwrap();
    fs::write(root.join("nothing"), b"").unwrap();
    fs::write(root.join("inner/state é %2F #1.json"), b"{}").unwrap();
    fs::write(root.join("manifest.json"), b"the script's own").unwrap();
    std::os::unix::fs::symlink("../weights.bin", root.join("inner/latest")).unwrap();
}

impl Bucket for S3Server {
    fn remote(&self) -> Remote {
        remote(self)
    }

    async fn objects_of(&self, experiment: u64) -> Vec<String> {
        let start = format!("{experiment}/");
        let names = self.objects().into_iter().map(|name| name.strip_prefix("team/a/").unwrap().to_owned());
        names.filter(|name| name.starts_with(&start)).collect()
    }

    async fn put(&self, object: &str, content: &[u8]) {
        fs::write(self.bucket().join("team/a").join(object), content).unwrap();
    }

    async fn remove(&self, object: &str) {
        fs::remove_file(self.bucket().join("team/a").join(object)).unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_comes_back_as_it_was() {
    cases::comes_back(&S3Server::start(), 1).await;
}

#[tokio::test]
async fn progress_is_told_and_the_prefix_is_kept() {
    let (server, root) = (S3Server::start(), tempfile::tempdir().unwrap());
    let from = root.path().join("from");
    saved(&from);
    let manifest = read_tree(&from, &[]).unwrap();
    let (remote, told, last) = (remote(&server), Mutex::new(Vec::new()), AtomicU64::new(0));
    let progress = |done: u64, total: u64| {
        told.lock().unwrap().push((done, total));
        last.fetch_max(done, Ordering::Relaxed);
    };
    remote.upload(&key("ab-1"), &from, &manifest, &progress).await.unwrap();
    assert_eq!(last.load(Ordering::Relaxed), manifest.total_size());
    assert!(told.lock().unwrap().len() >= 5, "a large file tells more than once");
    assert!(
        server.objects().iter().all(|name| name.starts_with("team/a/1/2/ab-1/")),
        "{:?}",
        server.objects()
    );
}

#[tokio::test]
async fn a_deleted_checkpoint_is_gone_and_its_neighbour_stays() {
    cases::deleted_is_gone(&S3Server::start(), 1).await;
}

#[tokio::test]
async fn what_has_no_manifest_is_absent_and_can_be_deleted() {
    cases::no_manifest_no_checkpoint(&S3Server::start(), 1).await;
}
