//! The same cases in Azure Blob Storage, or an emulator of it such as Azurite, at the connection string in
//! `TOPRUNG_TEST_AZURE`; its container `toprung-test` must exist. Without the variable they are skipped.

use crate::cases::{self, Bucket};
use crate::round_trip::{key, limits};
use futures_util::TryStreamExt as _;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt as _,
    azure::{MicrosoftAzure, MicrosoftAzureBuilder},
    path::Path,
};
use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};
use toprung_checkpoints::{Error, Place, Remote, Secret, read_tree};

const VARIABLE: &str = "TOPRUNG_TEST_AZURE";
const CONTAINER: &str = "toprung-test";

struct Azure {
    connection_string: String,
    /// By the library alone, to look behind what is tested.
    store: MicrosoftAzure,
}

/// `None`: there is none, and the test is skipped.
fn azure() -> Option<Azure> {
    let Ok(connection_string) = std::env::var(VARIABLE) else {
        eprintln!("skipped: {VARIABLE} is not set; it is the connection string of an account or of Azurite");
        return None;
    };
    // The process's own choice, as `Remote::open` makes it.
    drop(remote(CONTAINER, &connection_string));
    let part = |wanted: &str| {
        let parts = connection_string.split(';').filter_map(|part| part.split_once('='));
        let mut values = parts.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
        values.next().unwrap_or_else(|| panic!("no {wanted} in {VARIABLE}"))
    };
    let store = MicrosoftAzureBuilder::new()
        .with_container_name(CONTAINER)
        .with_account(part("AccountName"))
        .with_access_key(part("AccountKey"))
        .with_endpoint(part("BlobEndpoint").to_owned())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_allow_http(true)
        .build()
        .unwrap();
    Some(Azure { connection_string, store })
}

fn remote(container: &str, connection_string: &str) -> Remote {
    let place = Place::Azure {
        container: container.into(),
        connection_string: Secret(connection_string.into()),
        account_url: String::new(),
        credential: Secret::default(),
    };
    Remote::open(place, limits()).unwrap()
}

/// One that no test has used, also of earlier runs: the container stays.
fn experiment() -> u64 {
    static USED: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_micros() as u64 * 100 + USED.fetch_add(2, Ordering::Relaxed)
}

impl Bucket for Azure {
    fn remote(&self) -> Remote {
        remote(CONTAINER, &self.connection_string)
    }

    async fn objects_of(&self, experiment: u64) -> Vec<String> {
        let found: Vec<_> =
            self.store.list(Some(&Path::from(experiment.to_string()))).try_collect().await.unwrap();
        let mut names: Vec<_> = found.into_iter().map(|object| object.location.to_string()).collect();
        names.sort();
        names
    }

    async fn put(&self, object: &str, content: &[u8]) {
        self.store.put(&Path::from(object), content.to_vec().into()).await.unwrap();
    }

    async fn remove(&self, object: &str) {
        self.store.delete(&Path::from(object)).await.unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_comes_back_as_it_was() {
    let Some(azure) = azure() else { return };
    cases::comes_back(&azure, experiment()).await;
}

#[tokio::test]
async fn a_deleted_checkpoint_is_gone_and_its_neighbour_stays() {
    let Some(azure) = azure() else { return };
    cases::deleted_is_gone(&azure, experiment()).await;
}

#[tokio::test]
async fn what_has_no_manifest_is_absent_and_can_be_deleted() {
    let Some(azure) = azure() else { return };
    cases::no_manifest_no_checkpoint(&azure, experiment()).await;
}

#[tokio::test]
async fn a_damaged_object_is_not_given_to_anybody() {
    let Some(azure) = azure() else { return };
    cases::damaged_is_refused(&azure, experiment()).await;
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_makes_no_checkpoint() {
    let Some(azure) = azure() else { return };
    cases::changed_is_none(&azure, experiment()).await;
}

#[tokio::test]
async fn a_wrong_key_and_a_missing_container_are_told_apart() {
    let Some(azure) = azure() else { return };
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), b"1").unwrap();
    let manifest = read_tree(root.path(), &[]).unwrap();
    let parts = azure.connection_string.split(';');
    let wrong =
        parts.map(|part| if part.starts_with("AccountKey=") { "AccountKey=aHVudGVyMjI=" } else { part });
    let wrong = remote(CONTAINER, &wrong.collect::<Vec<_>>().join(";"));
    let error = wrong.upload(&key("ab"), root.path(), &manifest, &|_, _| {}).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && !error.is_passing(), "{error:?}");
    let shown = format!("{error:?} {error}");
    assert!(shown.contains(CONTAINER) && shown.contains("AZURE_STORAGE_ACCOUNT_KEY"), "{shown}");
    assert!(!shown.contains("aHVudGVyMjI="), "{shown}");

    let missing = remote("toprung-absent", &azure.connection_string);
    let asked = [
        missing.upload(&key("ab"), root.path(), &manifest, &|_, _| {}).await.unwrap_err(),
        missing.manifest(&key("ab")).await.unwrap_err(),
        missing.delete(&key("ab")).await.unwrap_err(),
    ];
    for error in asked {
        assert!(matches!(error, Error::NoBucket { .. }), "{error:?}");
        assert!(error.to_string().contains("`toprung-absent`"), "{error}");
    }
}
