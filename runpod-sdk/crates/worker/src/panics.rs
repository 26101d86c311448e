//! Catches panics of handlers and turns them into job errors.

use std::any::Any;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::{error, warn};

use crate::backtrace;
use crate::job::{JobError, panic_error, panic_message};
use crate::log_writer;

thread_local! {
    /// The location of the last panic on this thread, and its backtrace if one was captured.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Installs a panic hook that records the panic's location and writes a log line instead of a raw message on stderr.
pub(crate) fn install_panic_hook() {
    panic::set_hook(Box::new(log_panic));
}

/// Logs the panic's place and message, and records the place for [`describe`]. A panic outside of a handler, in a thread
/// or a task of the program's own, has no other line.
fn log_panic(info: &PanicHookInfo<'_>) {
    let mut place = "panicked at ".to_owned();
    // Writing to a string does not fail.
    let _ = match info.location() {
        Some(location) => write!(place, "{location}"),
        None => write!(place, "an unknown place"),
    };
    let backtrace = backtrace::capture().map_or_else(String::new, |frames| format!("\n{frames}"));
    error!("{place}: {}{backtrace}", panic_message(info.payload()));
    // The process may be about to abort.
    log_writer::flush();
    // The hook may run while the thread's storage is being destroyed.
    let _ = LAST_PANIC.try_with(|last| last.replace(Some(place + &backtrace)));
}

/// Warns where a panic would end the whole process, all its jobs included.
pub(crate) fn warn_if_panics_abort() {
    if cfg!(panic = "abort") {
        warn!("built with panic=abort: a panic in one job ends the worker and loses its other jobs");
    }
}

/// Runs a future and turns any panic into an error: in a poll or in a destructor of what the future holds, with a text
/// payload or not.
pub(crate) fn guarded<F, T>(future: F) -> impl Future<Output = Result<T, JobError>>
where
    F: Future<Output = Result<T, JobError>>,
{
    Guarded {
        future: Some(Box::pin(future)),
    }
}

/// Calls a function and turns a panic into an error.
pub(crate) fn guarded_call<T>(work: impl FnOnce() -> Result<T, JobError>) -> Result<T, JobError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(describe(payload)))
}

struct Guarded<F> {
    future: Option<Pin<Box<F>>>,
}

impl<F, T> Future for Guarded<F>
where
    F: Future<Output = Result<T, JobError>>,
{
    type Output = Result<T, JobError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut future) = self.future.take() else {
            return Poll::Pending;
        };
        let polled = panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        let result = match polled {
            Ok(Poll::Pending) => {
                self.future = Some(future);
                return Poll::Pending;
            }
            Ok(Poll::Ready(result)) => result,
            Err(payload) => Err(describe(payload)),
        };
        // The rest of the future is dropped here, where a panic is caught.
        match panic::catch_unwind(AssertUnwindSafe(move || drop(future))) {
            Ok(()) => Poll::Ready(result),
            Err(payload) => Poll::Ready(result.and(Err(describe(payload)))),
        }
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        let future = self.future.take();
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(move || drop(future))) {
            let error = describe(payload);
            warn!(%error, "a cancelled handler panicked while it was dropped");
        }
    }
}

/// The error of a panic that was caught on the thread on which it happened.
fn describe(payload: Box<dyn Any + Send>) -> JobError {
    let place = LAST_PANIC.take();
    let error = panic_error(&*payload, place);
    // The payload's own destructor may panic.
    let _ = panic::catch_unwind(AssertUnwindSafe(move || drop(payload)));
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ErrorCode;
    use crate::telemetry::log_capture::LogCapture;

    struct Bomb(&'static str);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic::panic_any(self.0);
            }
        }
    }

    fn message<T>(result: Result<T, JobError>) -> String {
        let Err(error) = result else {
            panic!("the future ended well")
        };
        assert_eq!(error.code(), &ErrorCode::PANIC);
        error.message().to_owned()
    }

    #[test]
    fn the_log_has_the_message_of_a_panic_and_not_its_place_alone() {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            log_panic(info);
            usual(info);
        }));
        let log = LogCapture::begin();
        let panics: [fn(); 3] = [
            || panic!("no model"),
            || panic!("no model called {:?}", "xl"),
            || panic::panic_any(7),
        ];
        for panics in panics {
            assert!(panic::catch_unwind(panics).is_err());
        }
        let lines = log.lines_with(concat!("ERROR  | panicked at ", file!(), ":"));
        let messages: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.splitn(5, ':').last())
            .collect();
        assert_eq!(
            messages,
            [
                " no model",
                " no model called \"xl\"",
                " a panic whose payload is not text"
            ]
        );
    }

    #[tokio::test]
    async fn a_panic_at_the_first_poll_is_an_error() {
        assert_eq!(message::<()>(guarded(async { panic!("early") }).await), "early");
    }

    #[test]
    fn a_panic_in_a_function_is_an_error() {
        assert_eq!(message::<()>(guarded_call(|| panic!("at once"))), "at once");
    }

    #[tokio::test]
    async fn a_panic_at_a_later_poll_is_an_error() {
        let late = async {
            tokio::task::yield_now().await;
            panic!("late: {}", 7)
        };
        assert_eq!(message::<()>(guarded(late).await), "late: 7");
    }

    #[tokio::test]
    async fn a_panic_without_text_is_an_error() {
        let message = message::<()>(guarded(async { panic::panic_any(42_u8) }).await);
        assert_eq!(message, "a panic whose payload is not text");
    }

    #[tokio::test]
    async fn a_payload_that_panics_when_dropped_is_an_error() {
        let message = message::<()>(guarded(async { panic::panic_any(Bomb("payload")) }).await);
        assert_eq!(message, "a panic whose payload is not text");
    }

    #[tokio::test]
    async fn a_destructor_that_panics_at_the_end_is_an_error() {
        let ends_badly = async {
            let _bomb = Bomb("on the way out");
            Ok(1)
        };
        assert_eq!(message(guarded(ends_badly).await), "on the way out");
    }

    #[tokio::test]
    async fn a_destructor_that_panics_on_cancellation_hurts_nobody() {
        let mut future = Box::pin(guarded(async {
            let _bomb = Bomb("dropped");
            std::future::pending::<Result<(), JobError>>().await
        }));
        assert!(futures_util::poll!(future.as_mut()).is_pending());
        drop(future);
    }
}
