//! A wire between the worker and a WebUI that remembers every byte in both directions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::wire::Message;

pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<Vec<Connection>>>,
}

#[derive(Clone, Default)]
struct Connection {
    sent: Arc<Mutex<Vec<u8>>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    /// Forwards every connection to `target`.
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tap = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
        };
        let connections = tap.connections.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(target).await else {
                    continue;
                };
                let connection = Connection::default();
                connections.lock().unwrap().push(connection.clone());
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                tokio::spawn(copy(from_near, to_far, connection.sent));
                tokio::spawn(copy(from_far, to_near, connection.answered));
            }
        });
        tap
    }

    /// How many requests each connection has carried, oldest first.
    pub(crate) fn requests(&self) -> Vec<usize> {
        let connections = self.connections.lock().unwrap();
        let sent = connections.iter().map(|connection| &connection.sent);
        sent.map(|sent| Message::all(&sent.lock().unwrap()).len())
            .collect()
    }

    /// The first render: what was asked and what was answered.
    pub(crate) fn render(&self) -> (Message, Message) {
        let connections = self.connections.lock().unwrap();
        connections
            .iter()
            .flat_map(|connection| {
                let sent = Message::all(&connection.sent.lock().unwrap());
                let answered = Message::all(&connection.answered.lock().unwrap());
                sent.into_iter().zip(answered)
            })
            .find(|(request, _)| request.start() == "POST /sdapi/v1/txt2img")
            .unwrap()
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        // Remembered first: whoever got the bytes can be sure that they are here.
        seen.lock().unwrap().extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
