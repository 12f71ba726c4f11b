//! How messages with secrets are shown: without them.

use crate::v1::{AzureStorage, S3Storage};
use std::fmt;

/// What is shown instead of a secret.
fn shown(secret: &str) -> &'static str {
    if secret.is_empty() { "" } else { "********" }
}

impl fmt::Debug for S3Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("S3Storage")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint_url", &self.endpoint_url)
            .field("access_key", &shown(&self.access_key))
            .field("secret_key", &shown(&self.secret_key))
            .finish()
    }
}

impl fmt::Debug for AzureStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AzureStorage")
            .field("container", &self.container)
            .field("connection_string", &shown(&self.connection_string))
            .field("account_url", &self.account_url)
            .field("credential", &shown(&self.credential))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{CheckpointStorage, DeleteCheckpoints, checkpoint_storage::Kind};

    #[test]
    fn no_message_shows_a_secret() {
        let secret = || "hunter2".to_owned();
        let s3 = S3Storage { access_key: secret(), secret_key: secret(), ..S3Storage::default() };
        let azure =
            AzureStorage { connection_string: secret(), credential: secret(), ..AzureStorage::default() };
        for kind in [Kind::S3(s3), Kind::Azure(azure)] {
            let storage = Some(CheckpointStorage { kind: Some(kind) });
            let text = format!("{:?}", DeleteCheckpoints { storage, ..DeleteCheckpoints::default() });
            assert!(text.contains("********") && !text.contains("hunter2"), "{text}");
        }
    }
}
