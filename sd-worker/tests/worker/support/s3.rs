//! A real S3 server on loopback, over a directory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::watch;

const ACCESS_ID: &str = "AKIATEST";
const SECRET: &str = "hunter2hunter2";

/// What the server does with uploads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uploads {
    Stored,
    /// None is answered before so many are on their way at once.
    Together(usize),
    /// All are answered with this status.
    Failed(u16),
    /// None is answered.
    Held,
}

/// The server, with a bucket `pics`. Its root goes when it is dropped.
pub(crate) struct S3 {
    pub(crate) url: String,
    root: tempfile::TempDir,
    traffic: Arc<Traffic>,
}

#[derive(Default)]
struct Traffic {
    /// The method of each request, in the order in which they came.
    methods: Mutex<Vec<String>>,
    /// Uploads that have come so far.
    came: watch::Sender<usize>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl S3 {
    pub(crate) async fn start(uploads: Uploads) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("pics")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_ID, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let traffic = Arc::new(Traffic::default());
        let seen = traffic.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (service, seen) = (service.clone(), seen.clone());
                let answers = service_fn(move |request| {
                    let (service, seen) = (service.clone(), seen.clone());
                    async move { answer(request, uploads, &service, &seen).await }
                });
                tokio::spawn(async move {
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), answers)
                        .await;
                });
            }
        });
        Self { url, root, traffic }
    }

    /// The variables of a worker with this bucket.
    pub(crate) fn variables(&self) -> [(&str, &str); 4] {
        [
            ("BUCKET_ENDPOINT_URL", &self.url),
            ("BUCKET_ACCESS_KEY_ID", ACCESS_ID),
            ("BUCKET_SECRET_ACCESS_KEY", SECRET),
            ("BUCKET_NAME", "pics"),
        ]
    }

    /// A job's `s3Config` for it.
    pub(crate) fn config(&self) -> runpod_sdk::client::S3Config {
        self.config_with(SECRET)
    }

    pub(crate) fn config_with(&self, secret: &str) -> runpod_sdk::client::S3Config {
        runpod_sdk::client::S3Config::new(&self.url, "pics", ACCESS_ID, secret)
    }

    /// What an object of the bucket holds.
    pub(crate) fn object(&self, key: &str) -> Vec<u8> {
        std::fs::read(self.path(key)).unwrap()
    }

    /// Whether the folder of the bucket has an object.
    pub(crate) fn has(&self, folder: &str) -> bool {
        std::fs::read_dir(self.path(folder)).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// The methods of all requests, however they were answered.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.traffic.methods.lock().unwrap().clone()
    }

    /// Uploads that have come, however they were answered.
    pub(crate) fn uploads(&self) -> usize {
        *self.traffic.came.borrow()
    }

    /// Waits until so many have come.
    pub(crate) async fn uploads_reach(&self, count: usize) {
        let mut came = self.traffic.came.subscribe();
        super::soon(came.wait_for(|came| *came >= count)).await.unwrap();
    }

    /// The most uploads that were on their way at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.traffic.most.load(Ordering::Relaxed)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.path().join("pics").join(key)
    }
}

async fn answer(
    request: Request<Incoming>,
    uploads: Uploads,
    service: &S3Service,
    traffic: &Traffic,
) -> Result<Response<s3s::Body>, s3s::HttpError> {
    let is_upload = request.method() == Method::PUT;
    let method = request.method().to_string();
    traffic.methods.lock().unwrap().push(method);
    if is_upload {
        let now = traffic.now.fetch_add(1, Ordering::Relaxed) + 1;
        traffic.most.fetch_max(now, Ordering::Relaxed);
        traffic.came.send_modify(|came| *came += 1);
        match uploads {
            Uploads::Stored => {}
            Uploads::Together(count) => {
                let mut came = traffic.came.subscribe();
                let _ = came.wait_for(|came| *came >= count).await;
            }
            Uploads::Failed(status) => {
                let mut response = Response::new(s3s::Body::empty());
                *response.status_mut() = status.try_into().unwrap();
                traffic.now.fetch_sub(1, Ordering::Relaxed);
                return Ok(response);
            }
            Uploads::Held => std::future::pending().await,
        }
    }
    let answered = service.call(request.map(s3s::Body::from)).await;
    if is_upload {
        traffic.now.fetch_sub(1, Ordering::Relaxed);
    }
    answered
}
