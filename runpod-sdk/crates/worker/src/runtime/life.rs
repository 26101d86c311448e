//! A worker's life from `Started` to `Stopped`, whatever happens in between.

use tokio::runtime::Handle;

use super::{Ended, Shutdown};
use crate::error::Error;
use crate::events::WorkerEvent;
use crate::worker::Options;

/// Does `work`, and afterwards what is to be done at every worker's end: the shutdown hooks, which
/// run on `handlers`, and the last event.
pub(crate) async fn live(
    options: &Options,
    handlers: &Handle,
    shutdown: &Shutdown,
    work: impl Future<Output = Result<Ended, Error>>,
) -> Result<Ended, Error> {
    options.events.emit(|| WorkerEvent::Started {
        slots: options.concurrency.get(),
    });
    let ended = work.await;
    options.hooks.shut_down(handlers, &shutdown.abandon).await;
    options.events.emit(|| WorkerEvent::Stopped {
        jobs_left: match ended {
            Ok(Ended::Abandoned { jobs }) => jobs,
            _ => 0,
        },
        error: ended.as_ref().err().map(ToString::to_string),
    });
    ended
}
