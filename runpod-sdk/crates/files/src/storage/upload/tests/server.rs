//! The S3 server `s3s` over a directory. It records requests and can fail them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use runpod_protocol::sync::Mutex;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{ACCESS_ID, SECRET};

pub(super) struct S3Server {
    address: SocketAddr,
    root: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
    _stop: DropGuard,
}

impl S3Server {
    /// Starts a server with an empty bucket `pics`.
    pub(super) async fn start() -> Self {
        Self::spoiled(|_| None).await
    }

    /// Starts a server that answers request number `n`, from 0, with the status that `spoil` returns, if any.
    pub(super) async fn spoiled(
        spoil: impl Fn(usize) -> Option<u16> + Clone + Send + Sync + 'static,
    ) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("pics")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_ID, SECRET));
        let service = service.build();

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, until) = (requests.clone(), stop.clone());
        tokio::spawn(until.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, service, spoil) = (seen.clone(), service.clone(), spoil.clone());
                let answer = tower::service_fn(move |request| {
                    answer(request, seen.clone(), service.clone(), spoil.clone())
                });
                tokio::spawn(until.clone().run_until_cancelled_owned(async move {
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(answer))
                        .await;
                }));
            }
        }));
        Self {
            address,
            root,
            requests,
            _stop: stop.drop_guard(),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Method, path and query of each request so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }

    /// The methods of all requests so far.
    pub(super) fn methods(&self) -> Vec<String> {
        let requests = self.requests();
        requests
            .iter()
            .filter_map(|request| request.split(' ').next())
            .map(str::to_owned)
            .collect()
    }

    /// The file of an object in the bucket `pics`.
    pub(super) fn stored(&self, key: &str) -> PathBuf {
        self.root.path().join("pics").join(key)
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    seen: Arc<Mutex<Vec<String>>>,
    service: S3Service,
    spoil: impl Fn(usize) -> Option<u16>,
) -> Result<Response<s3s::Body>, s3s::HttpError> {
    let number = {
        let mut seen = seen.lock();
        seen.push(format!("{} {}", request.method(), request.uri()));
        seen.len() - 1
    };
    if let Some(status) = spoil(number) {
        let mut response = Response::new(s3s::Body::empty());
        *response.status_mut() = status.try_into().unwrap();
        return Ok(response);
    }
    service.call(request.map(s3s::Body::from)).await
}
