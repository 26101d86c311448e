//! A fitness check: a closure, or a built-in check.

use std::any::type_name;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{CheckEnvironment, FitnessError};

type Run = Box<dyn FnOnce(Arc<CheckEnvironment>) -> BoxFuture<'static, Result<(), String>> + Send>;

/// A check for [`Worker::fitness_check`](crate::Worker::fitness_check): a closure that
/// returns a future of a `Result`, or one of the [built-in checks](super).
///
/// `M` tells the two apart and is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a fitness check",
    label = "neither a closure that returns a future of a `Result` nor a built-in check",
    note = "write `|| async {{ … }}`, or use one of `runpod_sdk::fitness`"
)]
pub trait Check<M>: Send + 'static {
    #[doc(hidden)]
    fn into_work(self) -> Work;
}

/// A check in the form in which it runs.
#[doc(hidden)]
pub struct Work {
    run: Run,
    limit: Option<Duration>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Marks the checks of this crate.
#[derive(Debug)]
#[doc(hidden)]
pub enum BuiltIn {}

impl<F, Fut, T, E> Check<(Fut, T, E)> for F
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn into_work(self) -> Work {
        let run: Run = Box::new(move |_| {
            Box::pin(async move {
                match self().await {
                    Ok(_) => Ok(()),
                    Err(error) => {
                        let error: Box<dyn StdError + Send + Sync> = error.into();
                        Err(format!("{}: {error}", short_name(type_name::<E>())))
                    }
                }
            })
        });
        Work { run, limit: None }
    }
}

impl Work {
    /// A check of this crate.
    pub(super) fn built_in<Fut>(check: impl FnOnce(Arc<CheckEnvironment>) -> Fut + Send + 'static) -> Self
    where
        Fut: Future<Output = Result<(), FitnessError>> + Send + 'static,
    {
        let run: Run = Box::new(move |environment| {
            let checking = check(environment);
            Box::pin(async move { checking.await.map_err(|error| format!("FitnessError: {error}")) })
        });
        Self { run, limit: None }
    }
}

/// Gives one check a limit of its own instead of the worker's.
///
/// ```
/// use std::time::Duration;
///
/// use runpod_sdk::{JobError, Worker, fitness};
///
/// let worker: Worker = Worker::new(|n: u32| async move { Ok::<_, JobError>(n) })
///     .fitness_check("gpu driver", fitness::within(Duration::from_secs(90), || async { Ok::<_, JobErrorText>(()) }));
/// # type JobErrorText = String;
/// ```
pub fn within<C>(limit: Duration, check: C) -> Within<C> {
    Within { limit, check }
}

/// A check with a limit of its own; see [`within`].
#[derive(Debug)]
pub struct Within<C> {
    limit: Duration,
    check: C,
}

/// Marks a check with a limit of its own.
#[derive(Debug)]
#[doc(hidden)]
pub struct Limited<M>(std::marker::PhantomData<M>);

impl<M, C: Check<M>> Check<Limited<M>> for Within<C> {
    fn into_work(self) -> Work {
        Work {
            limit: Some(self.limit),
            ..self.check.into_work()
        }
    }
}

/// One check with its name.
#[derive(Debug)]
pub(crate) struct FitnessCheck {
    pub(super) name: String,
    work: Work,
}

impl FitnessCheck {
    pub(crate) fn new<M, C: Check<M>>(name: impl Into<String>, check: C) -> Self {
        Self {
            name: name.into(),
            work: check.into_work(),
        }
    }

    /// Its own limit, or else `limit`.
    pub(super) fn limit_or(&self, limit: Duration) -> Duration {
        self.work.limit.unwrap_or(limit)
    }

    /// Runs the check. The error is the reason for which the machine is unfit.
    pub(super) async fn run(self, environment: Arc<CheckEnvironment>) -> Result<(), String> {
        (self.work.run)(environment).await
    }
}

/// `std::io::error::Error` as `Error`: the form in which Python names its errors.
fn short_name(path: &str) -> &str {
    let plain = path.split('<').next().unwrap_or(path);
    plain.rsplit("::").next().unwrap_or(plain)
}
