//! A server that speaks S3, on a port of this machine, in a thread of its own.

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::SimpleAuth,
    s3_error,
    service::S3ServiceBuilder,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet};

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const BUCKET: &str = "models";

/// The server's own storage would make a bucket that is not there.
struct Buckets(PathBuf);

#[async_trait::async_trait]
impl S3Access for Buckets {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "signature is required"));
        }
        let bucket = context.s3_path().get_bucket_name().unwrap_or_default();
        if self.0.join(bucket).is_dir() { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }
}

/// The server; it ends, with every connection, when it is dropped or stopped.
pub struct S3Server {
    root: tempfile::TempDir,
    address: SocketAddr,
    runtime: Option<Runtime>,
    /// Manifests until the one that is stored and never answered; 0: none is.
    silent_at: Arc<AtomicU32>,
}

impl S3Server {
    /// One with an empty bucket.
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut server =
            Self { root, address: "127.0.0.1:0".parse().unwrap(), runtime: None, silent_at: Arc::default() };
        server.serve();
        server
    }

    /// Serves, at the same address if it was stopped before.
    pub fn serve(&mut self) {
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(self.root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        builder.set_access(Buckets(self.root.path().to_owned()));
        let service = builder.build();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        let silent_at = self.silent_at.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                let silent_at = silent_at.clone();
                connections.spawn(async move {
                    let answered = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
                        let (service, silent_at) = (service.clone(), silent_at.clone());
                        async move {
                            let manifest =
                                request.method() == "PUT" && request.uri().path().ends_with("manifest.json");
                            let answer = hyper::service::Service::call(&service, request).await;
                            let counted = |left: u32| left.checked_sub(1);
                            let before = manifest
                                .then(|| silent_at.fetch_update(Ordering::SeqCst, Ordering::SeqCst, counted));
                            if before == Some(Ok(1)) {
                                std::future::pending::<()>().await;
                            }
                            answer
                        }
                    });
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A client may go at any time.
                    let _ended = builder.serve_connection(TokioIo::new(socket), answered).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        self.runtime = Some(runtime);
    }

    /// Breaks every connection and answers no more.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// The manifest that is stored as the `number`th from now is never answered for. Only once.
    pub fn silent_at_manifest(&self, number: u32) {
        self.silent_at.store(number, Ordering::SeqCst);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the objects of the bucket lie.
    pub fn bucket(&self) -> PathBuf {
        self.root.path().join(BUCKET)
    }

    /// The objects in the bucket, sorted.
    pub fn objects(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.bucket(), &self.bucket(), &mut found);
        found.sort();
        found
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            walk(root, &path, found);
        } else if !name.starts_with('.') {
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}
