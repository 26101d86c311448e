//! Runs checks concurrently, and evaluates them in order.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info};

use super::{CheckEnvironment, FitnessCheck};
use crate::job::panic_message;

/// The check that failed, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) check: String,
    /// `Type: message`.
    pub(crate) reason: String,
}

/// Runs the checks concurrently, each on a thread of its own that uses the runtime `handlers`: a check that blocks its
/// thread delays neither the others nor the clock. The first failure in order is returned, and the other checks are
/// cancelled.
pub(crate) async fn run(
    checks: Vec<FitnessCheck>,
    environment: Arc<CheckEnvironment>,
    limit: Duration,
    handlers: &Handle,
) -> Result<(), Unfit> {
    if checks.is_empty() {
        return Ok(());
    }
    info!("Running {} fitness check(s)...", checks.len());
    let began = Instant::now();
    let running: Vec<_> = checks
        .into_iter()
        .map(|check| {
            let name = check.name.clone();
            let limit = check.limit_or(limit);
            (name, limit, Running::start(check, environment.clone(), handlers))
        })
        .collect();
    for (check, limit, running) in running {
        let left = limit.saturating_sub(began.elapsed());
        let outcome = tokio::time::timeout(left, running.outcome()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(late(limit)));
        if let Err(reason) = outcome {
            error!("Fitness check failed: {check} | {reason}");
            return Err(Unfit { check, reason });
        }
    }
    let millis = began.elapsed().as_secs_f64() * 1000.0;
    info!("All fitness checks passed. ({millis:.2}ms)");
    Ok(())
}

/// A running check. Dropping it cancels the check, without a wait for one that blocks.
struct Running {
    outcome: oneshot::Receiver<Result<(), String>>,
    _end: DropGuard,
}

impl Running {
    fn start(check: FitnessCheck, environment: Arc<CheckEnvironment>, handlers: &Handle) -> Self {
        let (sender, outcome) = oneshot::channel();
        let end = CancellationToken::new();
        let (ended, handle) = (end.clone(), handlers.clone());
        let work = move || {
            let checking = AssertUnwindSafe(check.run(environment)).catch_unwind();
            handle.block_on(async move {
                tokio::select! {
                    biased;
                    () = ended.cancelled() => {}
                    outcome = checking => {
                        let outcome = outcome.unwrap_or_else(|payload| Err(panicked(&*payload)));
                        // The receiver may be gone.
                        let _ = sender.send(outcome);
                    }
                }
            });
        };
        // Not a thread of the tokio runtime, whose end would wait for it.
        if let Err(error) = std::thread::Builder::new().name("fitness".to_owned()).spawn(work) {
            error!(%error, "no thread for a fitness check");
        }
        Self {
            outcome,
            _end: end.drop_guard(),
        }
    }

    async fn outcome(self) -> Result<(), String> {
        let outcome = self.outcome.await;
        outcome.unwrap_or_else(|_| Err("the check could not be made".to_owned()))
    }
}

fn panicked(payload: &(dyn Any + Send)) -> String {
    format!("panic: {}", panic_message(payload))
}

/// Runs a single check, beside the work.
pub(crate) async fn run_one(
    check: FitnessCheck,
    environment: Arc<CheckEnvironment>,
    limit: Duration,
) -> Result<(), Unfit> {
    let name = check.name.clone();
    let limit = check.limit_or(limit);
    let outcome = tokio::time::timeout(limit, check.run(environment)).await;
    outcome.unwrap_or_else(|_| Err(late(limit))).map_err(|reason| {
        error!("Fitness check failed: {name} | {reason}");
        Unfit { check: name, reason }
    })
}

fn late(limit: Duration) -> String {
    format!("timeout: no answer within {limit:?}")
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::fitness::within;
    use runpod_protocol::sync::Mutex;

    const LIMIT: Duration = Duration::from_secs(30);

    #[derive(Debug, thiserror::Error)]
    #[error("only {0} GiB")]
    struct TooSmall(u32);

    async fn judge(checks: Vec<FitnessCheck>) -> Result<(), Unfit> {
        run(checks, Arc::default(), LIMIT, &Handle::current()).await
    }

    #[tokio::test]
    async fn the_first_failure_in_order_is_reported_and_ends_the_rest() {
        let (ended, after) = oneshot::channel::<()>();
        let (first_may_fail, wait) = oneshot::channel::<()>();
        let checks = vec![
            FitnessCheck::new("fine", || async { Ok::<_, TooSmall>(()) }),
            FitnessCheck::new("memory", || async {
                wait.await.ok();
                Err::<(), _>(TooSmall(2))
            }),
            FitnessCheck::new("fails first, but stands later", move || async move {
                first_may_fail.send(()).ok();
                Err::<(), _>(TooSmall(1))
            }),
            FitnessCheck::new("hangs", move || async move {
                let _ended = ended;
                std::future::pending::<Result<(), TooSmall>>().await
            }),
        ];
        assert_eq!(
            judge(checks).await.unwrap_err(),
            Unfit {
                check: "memory".into(),
                reason: "TooSmall: only 2 GiB".into()
            }
        );
        assert!(after.await.is_err(), "the check after it was ended");
    }

    #[tokio::test]
    async fn checks_run_at_once_so_that_a_slow_one_does_not_hold_up_the_others() {
        let barrier = Arc::new(tokio::sync::Barrier::new(2));
        let meet = |barrier: Arc<tokio::sync::Barrier>| {
            move || async move {
                barrier.wait().await;
                Ok::<_, TooSmall>(())
            }
        };
        let checks = vec![
            FitnessCheck::new("one", meet(barrier.clone())),
            FitnessCheck::new("other", meet(barrier)),
        ];
        judge(checks).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_late_after_the_workers_limit() {
        let hangs = FitnessCheck::new("hangs", std::future::pending::<Result<(), TooSmall>>);
        assert_eq!(
            judge(vec![hangs]).await.unwrap_err().reason,
            "timeout: no answer within 30s"
        );
    }

    #[tokio::test]
    async fn a_check_that_panics_has_failed() {
        let panics = FitnessCheck::new("panics", || async { panic!("no GPU") as Result<(), TooSmall> });
        assert!(judge(vec![panics]).await.unwrap_err().reason.contains("no GPU"));
    }

    /// As one does that looks at a network volume which does not answer.
    #[tokio::test]
    async fn a_check_that_blocks_its_thread_is_late_all_the_same() {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let blocks = within(Duration::from_millis(50), move || async move {
            let _ = wait.recv();
            Ok::<_, TooSmall>(())
        });
        // The runtime has one thread, and the other checks must not be delayed either.
        let (ran, other) = oneshot::channel();
        let checks = vec![
            FitnessCheck::new("volume", blocks),
            FitnessCheck::new("other", move || async move {
                ran.send(()).ok();
                Ok::<_, TooSmall>(())
            }),
        ];
        let unfit = judge(checks).await.unwrap_err();
        assert_eq!(
            (&*unfit.check, &*unfit.reason),
            ("volume", "timeout: no answer within 50ms")
        );
        other.await.unwrap();
        drop(release);
    }

    #[tokio::test]
    async fn the_longest_limit_there_is_counts_as_none() {
        let quick = within(Duration::MAX, || async { Ok::<_, TooSmall>(()) });
        judge(vec![FitnessCheck::new("quick", quick)]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_may_have_a_limit_of_its_own() {
        let hangs = within(
            Duration::from_secs(2),
            std::future::pending::<Result<(), TooSmall>>,
        );
        let reason = judge(vec![FitnessCheck::new("hangs", hangs)])
            .await
            .unwrap_err()
            .reason;
        assert_eq!(reason, "timeout: no answer within 2s");
    }

    #[tokio::test]
    async fn two_checks_may_have_the_same_name_and_both_run() {
        let ran = Arc::new(Mutex::new(Vec::new()));
        let check = |number: u32| {
            let ran = ran.clone();
            FitnessCheck::new("same", move || async move {
                ran.lock().push(number);
                Ok::<_, TooSmall>(())
            })
        };
        judge(vec![check(1), check(2)]).await.unwrap();
        let mut ran = ran.lock().clone();
        ran.sort_unstable();
        assert_eq!(ran, [1, 2]);
    }
}
