//! Is this machine fit for work? Asked once, before the first job is taken
//! (`docs/protocol/worker-protocol.md` §14).

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::{error, info};

/// How long one check may take.
const LIMIT: Duration = Duration::from_secs(30);

/// One check with its name.
pub(crate) struct FitnessCheck {
    name: String,
    run: Box<dyn FnOnce() -> BoxFuture<'static, Result<(), String>> + Send>,
}

impl FitnessCheck {
    pub(crate) fn new<F, Fut, T, E>(name: impl Into<String>, check: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let run = move || -> BoxFuture<'static, Result<(), String>> {
            Box::pin(async move {
                match check().await {
                    Ok(_) => Ok(()),
                    Err(error) => {
                        let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                        Err(format!("{}: {error}", short_name(type_name::<E>())))
                    }
                }
            })
        };
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

impl fmt::Debug for FitnessCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FitnessCheck").field(&self.name).finish()
    }
}

/// Why a worker is not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) check: String,
    /// `Type: message`.
    pub(crate) reason: String,
}

/// Runs the checks in order; the first failure ends it.
pub(crate) async fn run(checks: Vec<FitnessCheck>) -> Result<(), Unfit> {
    if checks.is_empty() {
        return Ok(());
    }
    info!("Running {} fitness check(s)...", checks.len());
    let began = Instant::now();
    for FitnessCheck { name, run } in checks {
        // On a task of its own, so that a check that panics is a check that failed.
        let outcome = match tokio::time::timeout(LIMIT, tokio::spawn(run())).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panicked)) => Err(format!("panic: {panicked}")),
            Err(_) => Err(format!("timeout: no answer within {LIMIT:?}")),
        };
        if let Err(reason) = outcome {
            error!("Fitness check failed: {name} | {reason}");
            return Err(Unfit { check: name, reason });
        }
    }
    let millis = began.elapsed().as_secs_f64() * 1000.0;
    info!("All fitness checks passed. ({millis:.2}ms)");
    Ok(())
}

/// `std::io::error::Error` as `Error`: the form in which Python names its errors.
fn short_name(path: &str) -> &str {
    let plain = path.split('<').next().unwrap_or(path);
    plain.rsplit("::").next().unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("only {0} GiB")]
    struct TooSmall(u32);

    #[tokio::test]
    async fn the_first_failure_names_its_check_and_ends_the_rest() {
        let (ran, after) = tokio::sync::oneshot::channel::<()>();
        let checks = vec![
            FitnessCheck::new("fine", || async { Ok::<_, TooSmall>(()) }),
            FitnessCheck::new("memory", || async { Err::<(), _>(TooSmall(2)) }),
            FitnessCheck::new("later", move || async move {
                let _ = ran.send(());
                Ok::<_, TooSmall>(())
            }),
        ];
        let unfit = run(checks).await.unwrap_err();
        assert_eq!(
            unfit,
            Unfit {
                check: "memory".into(),
                reason: "TooSmall: only 2 GiB".into()
            }
        );
        assert!(after.await.is_err(), "the check after it did not run");
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_or_panics_has_failed() {
        let hangs = FitnessCheck::new("hangs", std::future::pending::<Result<(), TooSmall>>);
        assert_eq!(
            run(vec![hangs]).await.unwrap_err().reason,
            "timeout: no answer within 30s"
        );
        let panics = FitnessCheck::new("panics", || async { panic!("no GPU") as Result<(), TooSmall> });
        assert!(run(vec![panics]).await.unwrap_err().reason.contains("no GPU"));
    }
}
