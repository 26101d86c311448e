//! [`Worker::run`]: a deployed worker inside a tokio runtime that exists already.

use runpod_protocol::variable;

use super::{deployed, warn_of_unread_variables};
use crate::error::{Error, StartupError};
use crate::events::StartTimer;
use crate::runtime::{Ended, Shutdown};
use crate::worker::Worker;

impl Worker {
    /// Runs the worker inside an existing tokio runtime, until SIGTERM or SIGINT.
    ///
    /// Handlers run on the runtime that calls this. Takes, reports and the heartbeat have
    /// threads of their own. Most programs use [`start`](crate::start) instead, which also sets
    /// up logging and reads the command line.
    ///
    /// Logging and traces are the program's own here: no subscriber is installed, nothing is masked in the log, and
    /// with the feature `otlp` no spans are sent, whatever `OTEL_EXPORTER_OTLP_ENDPOINT` says. Each job still has a
    /// `tracing` span, `job`, at level INFO, which a subscriber with a layer of `tracing-opentelemetry` will see.
    ///
    /// # Errors
    ///
    /// The environment is not that of a deployed worker, the state could not be loaded, or jobs were left for other
    /// workers.
    pub async fn run(self) -> Result<(), Error> {
        let timer = StartTimer::now();
        warn_of_unread_variables();
        let handlers = tokio::runtime::Handle::current();
        let (ended, outcome) = tokio::sync::oneshot::channel();
        let control = move || {
            // The caller may have stopped waiting.
            let _ = ended.send(deployed::run_on(
                self,
                Some(handlers),
                variable::from_environment,
                timer,
                Shutdown::default(),
            ));
        };
        std::thread::Builder::new()
            .name("runpod-control".to_owned())
            .spawn(control)
            .map_err(|source| StartupError::NoThread {
                what: "thread for the worker's control loop",
                source,
            })?;
        match outcome.await {
            Ok(Ok(Ended::Drained)) => Ok(()),
            Ok(Ok(Ended::Abandoned { jobs })) => Err(Error::Abandoned { jobs }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Runtime("the control thread panicked".to_owned())),
        }
    }
}
