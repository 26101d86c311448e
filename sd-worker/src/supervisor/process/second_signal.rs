//! Waits for the second signal to stop, whose sender does not want to wait.
//!
//! The SDK gives up its jobs at the same signal and returns. The WebUI's grace runs after that, so this listens on a
//! thread of its own.

use std::future::pending;
use std::io;
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Calls `act` when this process gets SIGTERM or SIGINT for the second time.
pub(super) fn on_second_signal(act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    thread::Builder::new()
        .name("second-signal".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                for _ in 0..2 {
                    tokio::select! {
                        () = next(&mut terminate) => {}
                        () = next(&mut interrupt) => {}
                    }
                }
            });
            act();
        })?;
    Ok(())
}

async fn next(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        // No signal can arrive any more.
        pending::<()>().await;
    }
}
