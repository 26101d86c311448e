//! The platform's socket: accepts connections and answers them until the platform closes.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The longest time for the head of a request to arrive, in real time.
pub(crate) const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// The pause after a connection could not be accepted, most often because file descriptors ran out.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// Answers until `closing` is cancelled and the open connections have ended. Dropping the future closes them.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    closing: CancellationToken,
    head_limit: Duration,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(answer(stream, router.clone(), closing.clone(), head_limit));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, router: Router, closing: CancellationToken, head_limit: Duration) {
    // Answers are written in several pieces; none of them should wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_limit)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_client_that_sends_its_head_for_ever_is_left_and_others_are_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "answer"));
        let closing = CancellationToken::new();
        let limit = Duration::from_millis(200);
        let serving = tokio::spawn(serve(listener, router, closing.clone(), limit));

        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .await
            .unwrap();
        let mut read = Vec::new();
        // Ends when the platform hangs up.
        let _ = slow.read_to_end(&mut read).await;
        assert!(!String::from_utf8_lossy(&read).contains("answer"));

        let mut quick = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        quick.write_all(request).await.unwrap();
        let mut read = String::new();
        quick.read_to_string(&mut read).await.unwrap();
        assert!(read.ends_with("answer"), "{read}");
        closing.cancel();
        serving.await.unwrap();
    }
}
