//! Runs checks at once and looks at them in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

use super::{FitnessCheck, Surroundings};

/// Why a worker is not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) check: String,
    /// `Type: message`.
    pub(crate) reason: String,
}

/// Runs the checks, all at once, on `handlers`. Of those that fail the first in order is the answer; the
/// others are left as they are.
pub(crate) async fn run(
    checks: Vec<FitnessCheck>,
    surroundings: Arc<Surroundings>,
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
            // On a task of its own, so that a check that panics is a check that failed. Its time is taken out
            // here, so that one that blocks its thread is late, too.
            let task = handlers.spawn(check.run(surroundings.clone()));
            (name, limit, AbortOnDropHandle::new(task))
        })
        .collect();
    for (check, limit, task) in running {
        let outcome = match tokio::time::timeout_at(began + limit, task).await {
            Ok(ended) => ended.unwrap_or_else(|lost| Err(format!("panic: {lost}"))),
            Err(_) => Err(late(limit)),
        };
        if let Err(reason) = outcome {
            error!("Fitness check failed: {check} | {reason}");
            return Err(Unfit { check, reason });
        }
    }
    let millis = began.elapsed().as_secs_f64() * 1000.0;
    info!("All fitness checks passed. ({millis:.2}ms)");
    Ok(())
}

/// Runs the one check that nobody waits for.
pub(crate) async fn run_one(
    check: FitnessCheck,
    surroundings: Arc<Surroundings>,
    limit: Duration,
) -> Result<(), Unfit> {
    let name = check.name.clone();
    let limit = check.limit_or(limit);
    let outcome = tokio::time::timeout(limit, check.run(surroundings)).await;
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
    use std::sync::Mutex;

    use super::*;
    use crate::fitness::within;

    const LIMIT: Duration = Duration::from_secs(30);

    #[derive(Debug, thiserror::Error)]
    #[error("only {0} GiB")]
    struct TooSmall(u32);

    async fn judge(checks: Vec<FitnessCheck>) -> Result<(), Unfit> {
        run(checks, Arc::default(), LIMIT, &Handle::current()).await
    }

    #[tokio::test]
    async fn the_first_failure_in_order_is_reported_and_ends_the_rest() {
        let (ended, after) = tokio::sync::oneshot::channel::<()>();
        let (first_may_fail, wait) = tokio::sync::oneshot::channel::<()>();
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
    async fn a_check_that_hangs_or_panics_has_failed() {
        let hangs = FitnessCheck::new("hangs", std::future::pending::<Result<(), TooSmall>>);
        assert_eq!(
            judge(vec![hangs]).await.unwrap_err().reason,
            "timeout: no answer within 30s"
        );
        let panics = FitnessCheck::new("panics", || async { panic!("no GPU") as Result<(), TooSmall> });
        assert!(judge(vec![panics]).await.unwrap_err().reason.contains("no GPU"));
    }

    /// As one does that looks at a network volume which does not answer.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_check_that_blocks_its_thread_is_late_all_the_same() {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let blocks = within(Duration::from_millis(50), move || async move {
            let _ = wait.recv();
            Ok::<_, TooSmall>(())
        });
        let unfit = judge(vec![FitnessCheck::new("volume", blocks)])
            .await
            .unwrap_err();
        assert_eq!(unfit.reason, "timeout: no answer within 50ms");
        drop(release);
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
                ran.lock().unwrap().push(number);
                Ok::<_, TooSmall>(())
            })
        };
        judge(vec![check(1), check(2)]).await.unwrap();
        let mut ran = ran.lock().unwrap().clone();
        ran.sort_unstable();
        assert_eq!(ran, [1, 2]);
    }
}
