//! What holds in every kind of store, as functions of one.

use crate::round_trip::saved;
use std::fs;
use toprung_checkpoints::{Error, Key, Remote, read_tree};

/// A store with a view on its objects.
pub trait Bucket {
    fn remote(&self) -> Remote;
    /// The objects of an experiment, sorted, without the place's prefix: `1/2/ab/files/a`.
    async fn objects_of(&self, experiment: u64) -> Vec<String>;
    async fn put(&self, object: &str, content: &[u8]);
    async fn remove(&self, object: &str);
}

fn key(experiment: u64, uuid: &str) -> Key {
    Key { experiment, trial: 2, uuid: uuid.into() }
}

/// Everything of a checkpoint comes back, also what is large, empty or has a strange name.
pub async fn comes_back(bucket: &impl Bucket, experiment: u64) {
    let (root, key) = (tempfile::tempdir().unwrap(), key(experiment, "ab-1"));
    let (from, to) = (root.path().join("from"), root.path().join("to/there"));
    saved(&from);
    let (remote, manifest) = (bucket.remote(), read_tree(&from, &[]).unwrap());
    remote.upload(&key, &from, &manifest, &|_, _| {}).await.unwrap();
    assert_eq!(remote.manifest(&key).await.unwrap(), manifest);
    fs::create_dir(root.path().join("to")).unwrap();
    assert_eq!(remote.download(&key, &to, &|_, _| {}).await.unwrap(), manifest);
    assert_eq!(read_tree(&to, &[]).unwrap(), manifest);
    assert!(to.join("inner/empty").is_dir() && to.join("inner/latest").is_symlink());
    assert_eq!(fs::read_dir(root.path().join("to")).unwrap().count(), 1, "nothing lies aside");
    assert_eq!(remote.list(experiment).await.unwrap(), std::slice::from_ref(&key));
    assert_eq!(remote.list(experiment + 1).await.unwrap(), []);
    remote.delete(&key).await.unwrap();
    assert_eq!(bucket.objects_of(experiment).await, Vec::<String>::new());
}

/// What is deleted is gone, its neighbour is not, and deleting again is no error.
pub async fn deleted_is_gone(bucket: &impl Bucket, experiment: u64) {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), b"1").unwrap();
    let (remote, manifest) = (bucket.remote(), read_tree(root.path(), &[]).unwrap());
    let [deleted, stays] = ["ab", "abc"].map(|uuid| key(experiment, uuid));
    for key in [&deleted, &stays] {
        remote.upload(key, root.path(), &manifest, &|_, _| {}).await.unwrap();
    }
    remote.delete(&deleted).await.unwrap();
    assert_eq!(remote.list(experiment).await.unwrap(), std::slice::from_ref(&stays));
    let left = ["files/a", "manifest.json"].map(|name| format!("{experiment}/2/abc/{name}"));
    assert_eq!(bucket.objects_of(experiment).await, left);
    remote.delete(&deleted).await.unwrap();
    let error = remote.download(&deleted, &root.path().join("x"), &|_, _| {}).await.unwrap_err();
    let expected = format!("no complete checkpoint at {}", remote.address(&deleted));
    assert!(error.to_string().contains(&expected), "{error}");
    remote.delete(&stays).await.unwrap();
}

/// Without a manifest there is no checkpoint, but something to delete.
pub async fn no_manifest_no_checkpoint(bucket: &impl Bucket, experiment: u64) {
    let (root, key) = (tempfile::tempdir().unwrap(), key(experiment, "ab"));
    fs::write(root.path().join("a"), b"1").unwrap();
    let remote = bucket.remote();
    remote.upload(&key, root.path(), &read_tree(root.path(), &[]).unwrap(), &|_, _| {}).await.unwrap();
    bucket.remove(&format!("{experiment}/2/ab/manifest.json")).await;
    assert_eq!(remote.list(experiment).await.unwrap(), []);
    assert!(remote.manifest(&key).await.is_err());
    assert_eq!(bucket.objects_of(experiment).await.len(), 1);
    remote.delete(&key).await.unwrap();
    assert_eq!(bucket.objects_of(experiment).await, Vec::<String>::new());
}

/// What is not as it was saved is not given to anybody.
pub async fn damaged_is_refused(bucket: &impl Bucket, experiment: u64) {
    let (root, key) = (tempfile::tempdir().unwrap(), key(experiment, "ab"));
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::write(from.join("a"), b"12345").unwrap();
    let (remote, object) = (bucket.remote(), format!("{experiment}/2/ab/files/a"));
    remote.upload(&key, &from, &read_tree(&from, &[]).unwrap(), &|_, _| {}).await.unwrap();
    for content in [&b"12346"[..], b"1234", b"123456"] {
        bucket.put(&object, content).await;
        let error = remote.download(&key, &to, &|_, _| {}).await.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
        assert!(!to.exists());
    }
    bucket.remove(&object).await;
    let error = remote.download(&key, &to, &|_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing lies aside");
    remote.delete(&key).await.unwrap();
}

/// A file that changes while it is stored makes no checkpoint.
pub async fn changed_is_none(bucket: &impl Bucket, experiment: u64) {
    let (root, key) = (tempfile::tempdir().unwrap(), key(experiment, "ab"));
    let file = root.path().join("a");
    fs::write(&file, b"12345").unwrap();
    let (remote, manifest) = (bucket.remote(), read_tree(root.path(), &[]).unwrap());
    for content in [&b"54321"[..], b"1234", b"123456"] {
        fs::write(&file, content).unwrap();
        let done = remote.upload(&key, root.path(), &manifest, &|_, _| {}).await;
        assert!(matches!(done, Err(Error::Changed { .. })), "{done:?}");
        assert_eq!(remote.list(experiment).await.unwrap(), []);
    }
    remote.delete(&key).await.unwrap();
}
