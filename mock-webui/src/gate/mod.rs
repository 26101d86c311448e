//! The gate in front of wiremock: wiremock decides what is answered, the gate decides when.
//!
//! Every request is forwarded to the inner wiremock server. An answer whose work is deferred is held until
//! the simulated GPU is done with it. What wiremock cannot do to a connection happens here.

mod admin;
mod finish;
mod relay;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::phase::Phase;
pub(crate) use relay::Relay;
use wire::{Wire, WireControl};

/// An address that is taken but does not listen: connections to it are refused.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    socket: TcpSocket,
    address: SocketAddr,
}

impl ReservedPort {
    pub(crate) fn reserve(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // The flag lets a server that went down come back on its port at once. On a free port it is set only
        // after the port has been chosen, or the system could choose one that another mock has reserved.
        if address.port() == 0 {
            socket.bind(address)?;
            socket.set_reuseaddr(true)?;
        } else {
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
        }
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn open(self) -> io::Result<TcpListener> {
        self.socket.listen(1024)
    }
}

/// Opens and closes the port as the process starts and dies. Ends with its task.
pub(crate) async fn keep_port(
    mut listener: Option<TcpListener>,
    mut reserved: Option<ReservedPort>,
    address: SocketAddr,
    relay: Arc<Relay>,
) {
    let mut life = relay.server().process().subscribe();
    loop {
        if listener.is_none() {
            let _ = life.wait_for(|life| life.phase != Phase::Refusing).await;
            let opened = match reserved.take() {
                Some(reserved) => reserved.open(),
                None => ReservedPort::reserve(address).and_then(ReservedPort::open),
            };
            match opened {
                Ok(opened) => {
                    listener = Some(opened);
                    relay.server().set_port_open(true);
                }
                // Another process has taken the port meanwhile: try again until it is free.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            continue;
        }
        let start = life.borrow().start;
        let down = life.wait_for(|life| life.phase == Phase::Refusing || life.start != start);
        if let Some(listener) = listener.take() {
            tokio::select! {
                _ = down => {}
                () = serve(listener, &relay) => {}
            }
        }
        reserved = ReservedPort::reserve(address).ok();
        relay.server().set_port_open(false);
    }
}

/// Accepts connections until it is dropped; its connections end with it.
async fn serve(listener: TcpListener, relay: &Arc<Relay>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, Arc::clone(relay)));
                }
                // Out of file descriptors, most likely: give the open connections a moment to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, relay: Arc<Relay>) {
    let keep_alive = relay.keep_alive();
    // Answers are single writes; waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let control = WireControl::default();
    let wire = TokioIo::new(Wire::new(stream, control.clone()));
    let service = service_fn(move |request| {
        let (relay, control) = (Arc::clone(&relay), control.clone());
        async move { relay.answer(request, &control).await }
    });
    // `header_read_timeout` also ends a connection that stays idle: uvicorn's `--timeout-keep-alive`.
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(keep_alive)
        .half_close(true)
        .serve_connection(wire, service);
    // An error here is a client that went away, or a connection that a fault cut.
    let _ = connection.await;
}
