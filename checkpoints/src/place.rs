//! Which store, and with which credentials. What a place does not say comes from the environment of the process:
//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, … for S3; `GOOGLE_APPLICATION_CREDENTIALS`, … for Google;
//! `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, … for Azure; else from the machine it runs on.

use crate::{Error, Key, Limits, azure::ConnectionString};
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder,
};
use std::{fmt, sync::Arc, time::Duration};

/// Something that is shown as `********`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_empty() { "none" } else { MASK })
    }
}

const MASK: &str = "********";
/// No secret is shorter; a shorter text would also be found in what is no secret.
const SHORTEST_SECRET: usize = 4;

/// A place in an object store. Texts that are not given are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Amazon S3, or a server that speaks like it.
    S3 {
        /// The bucket.
        bucket: String,
        /// What every name begins with.
        prefix: String,
        /// Another server than Amazon's, such as `http://localhost:9000`.
        endpoint_url: String,
        /// The account; given exactly if `secret_key` is.
        access_key: Secret,
        /// Its secret.
        secret_key: Secret,
    },
    /// Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: String,
        /// What every name begins with.
        prefix: String,
    },
    /// Azure Blob Storage.
    Azure {
        /// The container.
        container: String,
        /// Account, server and secret in one.
        connection_string: Secret,
        /// The account, such as `https://NAME.blob.core.windows.net`.
        account_url: String,
        /// The account's key, or a shared access signature.
        credential: Secret,
    },
}

/// The bucket, for people.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, endpoint_url, .. } if endpoint_url.is_empty() => {
                write!(formatter, "the S3 bucket `{bucket}`")
            }
            Self::S3 { bucket, endpoint_url, .. } => {
                write!(formatter, "the S3 bucket `{bucket}` at {endpoint_url}")
            }
            Self::Gcs { bucket, .. } => write!(formatter, "the Google Cloud Storage bucket `{bucket}`"),
            Self::Azure { container, .. } => write!(formatter, "the Azure container `{container}`"),
        }
    }
}

impl Place {
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::S3 { prefix, .. } | Self::Gcs { prefix, .. } => prefix,
            Self::Azure { .. } => "",
        }
    }

    /// The address of a checkpoint, for people.
    pub fn address(&self, key: &Key) -> String {
        let (scheme, bucket) = match self {
            Self::S3 { bucket, .. } => ("s3", bucket),
            Self::Gcs { bucket, .. } => ("gs", bucket),
            Self::Azure { container, .. } => ("az", container),
        };
        let prefix = crate::key::prefix(self).to_string();
        let between = if prefix.is_empty() { "" } else { "/" };
        let Key { experiment, trial, uuid } = key;
        format!("{scheme}://{bucket}/{prefix}{between}{experiment}/{trial}/{uuid}")
    }

    /// What to do about credentials that are refused.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::S3 { .. } => {
                "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION where the agent runs, or access_key and \
                 secret_key in checkpoint_storage"
            }
            Self::Gcs { .. } => "set GOOGLE_APPLICATION_CREDENTIALS where the agent runs",
            Self::Azure { .. } => {
                "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY where the agent runs, or \
                 connection_string in checkpoint_storage"
            }
        }
    }

    fn secrets(&self) -> Vec<String> {
        let found = match self {
            Self::S3 { access_key, secret_key, .. } => vec![access_key.0.clone(), secret_key.0.clone()],
            Self::Gcs { .. } => Vec::new(),
            Self::Azure { connection_string, credential, .. } => {
                let parts = connection_string.0.split(';').filter_map(|part| part.split_once('='));
                let parts = parts.filter(|(name, _)| {
                    ["accountkey", "sharedaccesssignature"].contains(&name.to_lowercase().as_str())
                });
                parts
                    .map(|(_, value)| value.to_owned())
                    .chain([connection_string.0.clone(), credential.0.clone()])
                    .collect()
            }
        };
        // Those of the environment are sent just the same.
        let environment = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY"];
        let environment = environment.iter().filter_map(|name| std::env::var(name).ok());
        found.into_iter().chain(environment).filter(|secret| secret.len() >= SHORTEST_SECRET).collect()
    }

    /// The text with everything secret in it replaced, also the signature of a link.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets() {
            text = text.replace(&secret, MASK);
        }
        for mark in ["sig=", "Signature=", "X-Amz-Credential="] {
            let parts: Vec<&str> = text.split(mark).collect();
            let rest = parts.iter().skip(1).map(|part| {
                let end = part.find(['&', ' ', ')', '"', '\'', ',']).unwrap_or(part.len());
                format!("{mark}{MASK}{}", part.get(end..).unwrap_or_default())
            });
            text = parts.first().map(|first| (*first).to_owned()).into_iter().chain(rest).collect();
        }
        text
    }

    pub(crate) fn open(&self, limits: &Limits) -> Result<Arc<dyn ObjectStore>, Error> {
        // Fails only if one was chosen before, which serves as well.
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        let unusable = |reason: String| Error::Place { place: self.to_string(), reason };
        let opened = match self {
            Self::S3 { .. } => self.s3(limits)?.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
            Self::Gcs { bucket, .. } => GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_retry(retry(limits))
                .with_client_options(client(limits, false))
                .build()
                .map(|store| Arc::new(store) as _),
            Self::Azure { .. } => self.azure(limits)?.build().map(|store| Arc::new(store) as _),
        };
        opened.map_err(|error| unusable(self.without_secrets(&error.to_string())))
    }

    fn s3(&self, limits: &Limits) -> Result<AmazonS3Builder, Error> {
        let Self::S3 { bucket, endpoint_url, access_key, secret_key, .. } = self else {
            return Ok(AmazonS3Builder::new());
        };
        let unusable = |reason: &str| Error::Place { place: self.to_string(), reason: reason.to_owned() };
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry(limits));
        if !endpoint_url.is_empty() {
            builder = builder.with_endpoint(endpoint_url);
        }
        match (access_key.0.as_str(), secret_key.0.as_str()) {
            ("", "") => {}
            ("", _) | (_, "") => return Err(unusable("access_key and secret_key go together")),
            (access_key, secret_key) => {
                builder = builder.with_access_key_id(access_key).with_secret_access_key(secret_key);
            }
        }
        let endpoint = std::env::var("AWS_ENDPOINT_URL").or_else(|_| std::env::var("AWS_ENDPOINT"));
        let plain = endpoint_url.starts_with("http://")
            || (endpoint_url.is_empty() && endpoint.is_ok_and(|url| url.starts_with("http://")));
        Ok(builder.with_client_options(client(limits, plain)).with_allow_http(plain))
    }

    fn azure(&self, limits: &Limits) -> Result<MicrosoftAzureBuilder, Error> {
        let Self::Azure { container, connection_string, account_url, credential } = self else {
            return Ok(MicrosoftAzureBuilder::new());
        };
        let unusable = |reason: String| Error::Place { place: self.to_string(), reason };
        let given = ConnectionString::parse(&connection_string.0, account_url, &credential.0);
        let given = given.map_err(unusable)?;
        let mut builder =
            MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(retry(limits));
        let plain = given.endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
        if let Some(account) = given.account {
            builder = builder.with_account(account);
        }
        if let Some(key) = given.key {
            builder = builder.with_access_key(key);
        }
        if !given.signature.is_empty() {
            builder = builder.with_sas_authorization(given.signature);
        }
        if let Some(endpoint) = given.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        Ok(builder.with_client_options(client(limits, plain)).with_allow_http(plain))
    }
}

fn retry(limits: &Limits) -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 20, retry_timeout: limits.tries }
}

fn client(limits: &Limits, plain: bool) -> ClientOptions {
    ClientOptions::new()
        .with_timeout(limits.request)
        .with_connect_timeout(limits.request.min(Duration::from_secs(10)))
        .with_allow_http(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(secret: &str) -> Place {
        Place::S3 {
            bucket: "models".into(),
            prefix: "team/a".into(),
            endpoint_url: "http://localhost:9000".into(),
            access_key: Secret("AKIDEXAMPLE".into()),
            secret_key: Secret(secret.into()),
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let place = s3("hunter22");
        assert!(!format!("{place:?} {place}").contains("hunter22"));
        assert!(!format!("{place:?}").contains("AKIDEXAMPLE"));
        let text = place.without_secrets("no hunter22 https://a/b?sv=1&sig=abc%2B&se=2 (sig=xyz)");
        assert_eq!(text, "no ******** https://a/b?sv=1&sig=********&se=2 (sig=********)");
        let azure = Place::Azure {
            container: "c".into(),
            connection_string: Secret("AccountName=n;AccountKey=aGVsbG8=".into()),
            account_url: String::new(),
            credential: Secret::default(),
        };
        assert_eq!(azure.without_secrets("key aGVsbG8= of n"), "key ******** of n");
        assert!(!format!("{azure:?}").contains("aGVsbG8"));
    }

    #[test]
    fn an_address_can_be_read() {
        let key = Key { experiment: 1, trial: 2, uuid: "ab".into() };
        assert_eq!(s3("x").address(&key), "s3://models/team/a/1/2/ab");
        let gcs = Place::Gcs { bucket: "b".into(), prefix: String::new() };
        assert_eq!(gcs.address(&key), "gs://b/1/2/ab");
    }

    #[test]
    fn half_an_account_is_refused() {
        let error = s3("").open(&Limits::default()).unwrap_err().to_string();
        assert!(error.contains("go together") && error.contains("`models`"), "{error}");
        s3("some").open(&Limits::default()).unwrap();
    }

    #[test]
    fn each_kind_of_place_is_opened() {
        let azure = Place::Azure {
            container: "c".into(),
            connection_string: Secret("AccountName=n;AccountKey=aGVsbG8=".into()),
            account_url: String::new(),
            credential: Secret::default(),
        };
        azure.open(&Limits::default()).unwrap();
        Place::Gcs { bucket: "b".into(), prefix: String::new() }.open(&Limits::default()).unwrap();
    }
}
