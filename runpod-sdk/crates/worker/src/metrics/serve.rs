//! Serves figures over HTTP on a thread of its own, so that scrapes and jobs do not delay each other.
//!
//! Clients may be slow or hostile. A connection serves one request and lasts a limited time, the number of open
//! connections is limited, and a head that is too long is refused. The body of a request is not read. On loopback only
//! this machine's own programs are answered, and no web page.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use runpod_protocol::callers;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Metrics;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The limits of one client and of all clients together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerLimits {
    connections: usize,
    head_bytes: usize,
    head_time: Duration,
    /// A whole connection, from its first byte to its last.
    time: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 8,
            // The least that hyper has.
            head_bytes: 8192,
            head_time: Duration::from_secs(2),
            time: Duration::from_secs(10),
        }
    }
}

/// The server's thread. Dropping it stops the thread.
#[derive(Debug)]
pub(crate) struct MetricsThread {
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
    #[cfg(test)]
    address: SocketAddr,
}

impl Drop for MetricsThread {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the metrics thread panicked");
        }
    }
}

/// Serves `metrics` at `address` until the thread is dropped; `None`, with a line in the log, if that can't be done.
pub(crate) fn serve(metrics: &Metrics, address: SocketAddr) -> Option<MetricsThread> {
    on_thread(metrics, address, ServerLimits::default())
}

fn on_thread(metrics: &Metrics, address: SocketAddr, limits: ServerLimits) -> Option<MetricsThread> {
    match start(metrics.clone(), address, limits) {
        Ok(thread) => Some(thread),
        Err(error) => {
            error!(%error, %address, "no metrics are served");
            None
        }
    }
}

fn start(metrics: Metrics, address: SocketAddr, limits: ServerLimits) -> std::io::Result<MetricsThread> {
    // Bound here, so that it is known at once whether that works.
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let thread = thread::Builder::new()
        .name("runpod-metrics".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                match TcpListener::from_std(listener) {
                    Ok(listener) => {
                        stopped
                            .run_until_cancelled(accept(&listener, &metrics, address.ip(), limits))
                            .await;
                    }
                    Err(error) => error!(%error, "no metrics are served"),
                }
            });
        })?;
    info!("metrics: http://{address}/metrics");
    if !address.ip().is_loopback() {
        warn!("the metrics have no password: everyone who reaches {address} can read them");
    }
    Ok(MetricsThread {
        stop,
        thread: Some(thread),
        #[cfg(test)]
        address,
    })
}

async fn accept(listener: &TcpListener, metrics: &Metrics, address: IpAddr, limits: ServerLimits) {
    let room = Arc::new(Semaphore::new(limits.connections));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let metrics = metrics.clone();
                tokio::spawn(async move {
                    answer(stream, metrics, address, limits).await;
                    drop(permit);
                });
            }
            // Most often too many open files. A pause keeps the loop from spinning.
            Err(error) => {
                debug!(%error, "could not accept a connection for metrics");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, metrics: Metrics, address: IpAddr, limits: ServerLimits) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, address, &metrics);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(limits.time, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection for metrics broke"),
        Err(_) => debug!("a connection for metrics took too long"),
    }
}

fn respond<B>(request: &Request<B>, address: IpAddr, metrics: &Metrics) -> Response<String> {
    let plain = |status, text: &str| {
        let mut response = Response::new(text.to_owned());
        *response.status_mut() = status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response
    };
    if let Err(foreign) = callers::check_on_loopback(address, request.headers(), request.uri()) {
        return plain(StatusCode::FORBIDDEN, &format!("{foreign}\n"));
    }
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
    }
    if request.method() != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let mut response = plain(StatusCode::OK, &metrics.render());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
    response
}

#[cfg(test)]
mod tests;
