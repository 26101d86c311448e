//! Listens, and answers each connection until it is stopped.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::held::{Held, Holding};
use super::routes::App;
use crate::error::{Error, StartupError};

/// The most open connections of one port. Further ones wait.
const MOST_CONNECTIONS: usize = 1024;
/// The longest time for the head of a request to arrive.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// The longest time in which a client reads nothing of its answer. After it the connection is closed, as if the client
/// had hung up.
const STALL_LIMIT: Duration = Duration::from_mins(1);
/// The pause after a connection could not be accepted, most often because file descriptors ran out.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// The sockets of a worker that answers requests.
pub(super) struct Server {
    closing: CancellationToken,
    connections: TaskTracker,
}

impl Server {
    /// Binds the ports of the settings, and starts to answer.
    ///
    /// Connections of the program's own routes run on `handlers`, so that its code holds up nothing else.
    pub(super) async fn start(app: Arc<App>, handlers: &Handle) -> Result<Self, Error> {
        Self::start_with(app, MOST_CONNECTIONS, handlers).await
    }

    /// Starts like [`start`](Self::start), with at most this number of connections on each port.
    pub(super) async fn start_with(app: Arc<App>, most: usize, handlers: &Handle) -> Result<Self, Error> {
        let server = Self {
            closing: CancellationToken::new(),
            connections: TaskTracker::new(),
        };
        let settings = &app.settings;
        let addresses = [
            Some((
                settings.address,
                settings.port_variable(),
                "requests",
                app.own.is_some(),
            )),
            settings
                .health
                .map(|at| (at, "PORT_HEALTH", "health checks", false)),
        ];
        for (address, variable, what, own_code) in addresses.into_iter().flatten() {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| cannot_listen(address, variable, error))?;
            let address = listener
                .local_addr()
                .map_err(|error| cannot_listen(address, variable, error))?;
            info!("listening for {what} on http://{address}");
            server.connections.spawn(accept(
                listener,
                app.clone(),
                // Each port has its own limit, so that health checks are answered under any load.
                Arc::new(Semaphore::new(most)),
                server.closing.clone(),
                server.connections.clone(),
                if own_code {
                    handlers.clone()
                } else {
                    Handle::current()
                },
            ));
        }
        Ok(server)
    }

    /// Accepts no more connections, and waits at most `limit` for answers that are being written.
    pub(super) async fn stop(self, limit: Duration) {
        self.closing.cancel();
        self.connections.close();
        if tokio::time::timeout(limit, self.connections.wait())
            .await
            .is_err()
        {
            warn!("leaving answers behind that are not read");
        }
    }
}

fn cannot_listen(address: SocketAddr, variable: &'static str, source: io::Error) -> StartupError {
    StartupError::Listen {
        address,
        variable,
        source,
    }
}

async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    room: Arc<Semaphore>,
    closing: CancellationToken,
    connections: TaskTracker,
    on: Handle,
) {
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let permit = room.clone().acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are written in several pieces, none of which waits for the client's acknowledgement.
                let _ = stream.set_nodelay(true);
                let (app, closing) = (app.clone(), closing.clone());
                // Both are kept until the connection ends, also where it becomes a WebSocket.
                let stream = Holding::new(stream, (permit, connections.token()));
                connections.spawn_on(answer(stream, app, closing), &on);
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// Answers the requests of one connection.
pub(super) async fn answer(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    app: Arc<App>,
    closing: CancellationToken,
) {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(STALL_LIMIT));
    let held = Held::default();
    let stream = Holding::new(Box::pin(stream), held.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let app = app.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(held.clone());
        async move { Ok::<_, Infallible>(app.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke");
    }
}
