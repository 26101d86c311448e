//! The second signal to stop: whoever sends it does not want to wait.
//!
//! The SDK listens to the same signals and gives up its jobs at the second one. What is left then is the WebUI's time
//! to end, which is spent after the SDK has returned; so it has a thread of its own to listen on.

use std::future::pending;
use std::io;
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Calls `act` when this process is told to stop for the second time.
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
        // No signal can come any more.
        pending::<()>().await;
    }
}
