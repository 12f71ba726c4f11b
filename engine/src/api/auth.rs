//! The token: every call but health checks carries it as `authorization: Bearer <token>`.

use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::Error;

/// Compares tokens by their digests, so that the time taken tells nothing about the token.
#[derive(Clone)]
pub struct Auth([u8; 32]);

impl Auth {
    /// Admits callers with this token.
    pub fn new(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl Interceptor for Auth {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let given = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let digest = given
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(|token| <[u8; 32]>::from(Sha256::digest(token.as_bytes())));
        match digest {
            Some(digest) if digest == self.0 => Ok(request),
            Some(_) => Err(Status::unauthenticated("the token is not the one of this server")),
            None => Err(Status::unauthenticated("a token is needed: pass --token or set TOPRUNG_TOKEN")),
        }
    }
}

/// The token of a data directory, made on first use; the file is readable by its owner only.
///
/// # Errors
/// The file cannot be read or written.
pub fn token(data_dir: &Path) -> Result<String, Error> {
    let path = data_dir.join("token");
    let failed = |action, source| Error::File { action, path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", error)),
    }
    let token = random_hex().map_err(|error| failed("draw a token for", error))?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed("create", error))?;
    file.write_all(token.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| failed("write", error))?;
    Ok(token)
}

/// 256 random bits in hexadecimal.
pub(crate) fn random_hex() -> io::Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")))
}

/// A seed for an experiment that names none: 0 … 2³¹ − 1.
pub fn random_seed() -> Result<u32, Status> {
    let bits = getrandom::u32().map_err(|error| Status::internal(format!("no random numbers: {error}")))?;
    Ok(bits >> 1)
}
