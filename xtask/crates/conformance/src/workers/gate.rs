//! Where handlers of both workers wait, so that what happens during a job happens when the table says.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::limit;

/// A listener that handlers connect to. They say which job they run and wait for the end of the connection.
#[derive(Debug)]
pub(super) struct Gate {
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// A handler that waits.
#[derive(Debug)]
pub(super) struct Arrival {
    connection: BufReader<TcpStream>,
    pub(super) job: String,
}

impl Gate {
    pub(super) async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no port for handlers to wait at")?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The next handler that arrives.
    pub(super) async fn arrival(&self) -> anyhow::Result<Arrival> {
        limit::within("a handler to begin", async {
            let (connection, _) = self.listener.accept().await?;
            let mut connection = BufReader::new(connection);
            let mut job = String::new();
            connection.read_line(&mut job).await?;
            Ok(Arrival {
                connection,
                job: job.trim_end().to_owned(),
            })
        })
        .await?
    }
}

impl Arrival {
    /// Lets the handler go on.
    pub(super) fn let_on(self) {
        drop(self.connection);
    }

    /// Waits until the handler leaves of its own accord.
    pub(super) async fn left(mut self) -> anyhow::Result<()> {
        let mut more = [0];
        match limit::within("the handler to be stopped", self.connection.read(&mut more)).await? {
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => bail!("the handler said something unexpected"),
        }
    }
}
