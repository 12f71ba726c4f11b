//! The ways to name an Azure account: a connection string, or its URL and a credential.

/// What is known of the account; the rest comes from the environment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionString {
    pub(crate) account: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) endpoint: Option<String>,
    /// A shared access signature, as name and value.
    pub(crate) signature: Vec<(String, String)>,
}

impl ConnectionString {
    /// Empty texts are absent. The error does not hold what is secret.
    pub(crate) fn parse(text: &str, account_url: &str, credential: &str) -> Result<Self, String> {
        let mut found = Self::default();
        let (mut suffix, mut protocol) = (None, "https");
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(
                    "connection_string is not a list of NAME=value; copy it from the portal as it is".into(),
                );
            };
            match name.to_ascii_lowercase().as_str() {
                "accountname" => found.account = Some(value.to_owned()),
                "accountkey" => found.key = Some(value.to_owned()),
                "blobendpoint" => found.endpoint = Some(value.trim_end_matches('/').to_owned()),
                "sharedaccesssignature" => found.signature = signature(value),
                "endpointsuffix" => suffix = Some(value),
                "defaultendpointsprotocol" => protocol = if value == "http" { "http" } else { "https" },
                // Of queues, files and tables.
                _ => {}
            }
        }
        if let (None, Some(suffix), Some(account)) = (&found.endpoint, suffix, &found.account) {
            found.endpoint = Some(format!("{protocol}://{account}.blob.{suffix}"));
        }
        if !account_url.is_empty() {
            let host = account_url.split_once("://").map(|(_, host)| host);
            let host = host.ok_or("account_url is not like `https://NAME.blob.core.windows.net`")?;
            found.account = host.split(['.', '/', ':']).next().map(str::to_owned);
            found.endpoint = Some(account_url.trim_end_matches('/').to_owned());
        }
        if credential.contains("sig=") {
            found.signature = signature(credential);
        } else if !credential.is_empty() {
            found.key = Some(credential.to_owned());
        }
        if let (Some(endpoint), None) = (&found.endpoint, &found.account) {
            found.account = endpoint
                .split_once("://")
                .and_then(|(_, host)| host.split(['.', '/', ':']).next())
                .map(str::to_owned);
        }
        Ok(found)
    }
}

/// The pairs of a query, decoded: they are encoded again when they are sent.
fn signature(text: &str) -> Vec<(String, String)> {
    let pairs = text.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(b'%'));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_names_account_key_and_server() {
        let text =
            "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=aa/b==;EndpointSuffix=core.windows.net";
        let found = ConnectionString::parse(text, "", "").unwrap();
        assert_eq!(found.account.as_deref(), Some("me"));
        assert_eq!(found.key.as_deref(), Some("aa/b=="));
        assert_eq!(found.endpoint.as_deref(), Some("https://me.blob.core.windows.net"));
        let found =
            ConnectionString::parse("BlobEndpoint=http://127.0.0.1:1/me/;AccountName=me", "", "").unwrap();
        assert_eq!(found.endpoint.as_deref(), Some("http://127.0.0.1:1/me"));
        let error = ConnectionString::parse("hunter2", "", "").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_account_url_goes_with_a_key_or_a_signature() {
        let url = "https://me.blob.core.windows.net/";
        let found = ConnectionString::parse("", url, "c2VjcmV0").unwrap();
        assert_eq!((found.account.as_deref(), found.key.as_deref()), (Some("me"), Some("c2VjcmV0")));
        let found = ConnectionString::parse("", url, "?sv=2022&sig=a%2Bb%3D").unwrap();
        assert_eq!(found.key, None);
        assert_eq!(found.signature, [("sv".into(), "2022".into()), ("sig".into(), "a+b=".into())]);
        assert_eq!(decoded("a%2"), "a%2");
    }
}
