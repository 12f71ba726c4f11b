//! What fails says where and why, leaves nothing that looks complete, and shows no secret.

use crate::cases;
use crate::round_trip::{bytes, key, limits, place, remote};
use crate::server::{S3Server, SECRET_KEY};
use std::fs;
use toprung_checkpoints::{Error, Limits, Place, Remote, Secret, read_tree};

fn with(server: &S3Server, change: impl FnOnce(&mut String, &mut Secret)) -> Remote {
    let mut place = place(server);
    if let Place::S3 { bucket, secret_key, .. } = &mut place {
        change(bucket, secret_key);
    }
    Remote::open(place, limits()).unwrap()
}

#[tokio::test]
async fn wrong_credentials_and_a_missing_bucket_are_told_apart() {
    let (server, root) = (S3Server::start(), tempfile::tempdir().unwrap());
    fs::write(root.path().join("a"), b"1").unwrap();
    let manifest = read_tree(root.path(), &[]).unwrap();
    let wrong = with(&server, |_, secret| secret.0 = "wrong-secret-of-mine".into());
    let error = wrong.upload(&key("ab"), root.path(), &manifest, &|_, _| {}).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && !error.is_passing(), "{error:?}");
    let text = error.to_string();
    for words in ["`models`", "put", "1/2/ab/files/a", "AWS_ACCESS_KEY_ID", "must be allowed"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains("wrong-secret-of-mine") && !shown.contains(SECRET_KEY), "{shown}");

    let missing = with(&server, |bucket, _| *bucket = "other".into());
    let asked = [
        missing.upload(&key("ab"), root.path(), &manifest, &|_, _| {}).await.unwrap_err(),
        missing.manifest(&key("ab")).await.unwrap_err(),
        missing.delete(&key("ab")).await.unwrap_err(),
    ];
    for error in asked {
        assert!(matches!(error, Error::NoBucket { .. }), "{error:?}");
        assert!(error.to_string().contains("`other`"), "{error}");
    }
    assert_eq!(server.objects(), Vec::<String>::new());
}

#[tokio::test]
async fn a_damaged_object_is_not_given_to_anybody() {
    cases::damaged_is_refused(&S3Server::start(), 1).await;
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_makes_no_checkpoint() {
    let (server, root) = (S3Server::start(), tempfile::tempdir().unwrap());
    fs::write(root.path().join("a"), b"12345").unwrap();
    fs::write(root.path().join("large"), bytes(11 << 20)).unwrap();
    let manifest = read_tree(root.path(), &[]).unwrap();
    for (name, content) in
        [("a", bytes(5)), ("a", bytes(4)), ("a", bytes(6)), ("large", bytes((11 << 20) + 1))]
    {
        let before = fs::read(root.path().join(name)).unwrap();
        fs::write(root.path().join(name), content).unwrap();
        let done = remote(&server).upload(&key("ab"), root.path(), &manifest, &|_, _| {}).await;
        assert!(matches!(done, Err(Error::Changed { .. })), "{done:?}");
        assert_eq!(remote(&server).list(1).await.unwrap(), []);
        fs::write(root.path().join(name), before).unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_gone_fails_in_time_and_one_that_comes_back_is_used() {
    let (mut server, root) = (S3Server::start(), tempfile::tempdir().unwrap());
    fs::write(root.path().join("large"), bytes(26 << 20)).unwrap();
    let manifest = read_tree(root.path(), &[]).unwrap();
    let patient = Limits { memory: 5 << 20, files: 1, ..limits() };
    let remote = Remote::open(place(&server), patient).unwrap();
    // It goes after the first part.
    let (sender, receiver) = std::sync::mpsc::channel();
    let stopped = std::thread::spawn(move || {
        receiver.recv().unwrap();
        server.stop();
        server
    });
    let tell = move |_, _| {
        let _told_before = sender.send(());
    };
    let error = remote.upload(&key("ab"), root.path(), &manifest, &tell).await.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
    assert!(error.to_string().contains("`models` at http://127.0.0.1:"), "{error}");
    let mut server = stopped.join().unwrap();

    server.serve();
    assert_eq!(remote.list(1).await.unwrap(), [], "no manifest, no checkpoint");
    remote.upload(&key("ab"), root.path(), &manifest, &|_, _| {}).await.unwrap();
    let to = root.path().join("to");
    remote.download(&key("ab"), &to, &|_, _| {}).await.unwrap();
    assert_eq!(read_tree(&to, &[]).unwrap(), manifest);
}

#[tokio::test]
async fn a_short_absence_is_waited_out() {
    let (mut server, root) = (S3Server::start(), tempfile::tempdir().unwrap());
    fs::write(root.path().join("a"), b"1").unwrap();
    let manifest = read_tree(root.path(), &[]).unwrap();
    let remote =
        Remote::open(place(&server), Limits { tries: std::time::Duration::from_secs(20), ..limits() })
            .unwrap();
    server.stop();
    let name = key("ab");
    let uploading = remote.upload(&name, root.path(), &manifest, &|_, _| {});
    let back = async {
        // Several tries have failed by then; how many does not matter.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        server.serve();
    };
    let (done, ()) = tokio::join!(uploading, back);
    done.unwrap();
    assert_eq!(remote.list(1).await.unwrap(), [key("ab")]);
}
