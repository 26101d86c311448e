use runpod_protocol::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::events::Events;
use crate::platform::Platform;
use crate::platform::memory::{Exchange, Fault, MemoryPlatform};
use crate::runtime::heartbeat::{Liveness, beat};
use crate::runtime::{ActiveJobs, on_thread};
use crate::telemetry::log_capture::LogCapture;

const INTERVAL: Duration = Duration::from_secs(10);

struct Beating {
    platform: Arc<MemoryPlatform>,
    active_jobs: Arc<ActiveJobs>,
    liveness: Arc<Liveness>,
    stop: CancellationToken,
}

/// A heartbeat on the paused clock; the control loop is the test's to play.
fn start() -> Beating {
    let platform = Arc::new(MemoryPlatform::new(Duration::from_secs(20)));
    let active_jobs = Arc::new(ActiveJobs::new(16, 1 << 20));
    let liveness = Arc::new(Liveness::new(Duration::from_mins(1)));
    let stop = CancellationToken::new();
    let beating = Beating {
        platform,
        active_jobs,
        liveness,
        stop,
    };
    let (platform, active_jobs) = (beating.platform.clone(), beating.active_jobs.clone());
    let (liveness, stop) = (beating.liveness.clone(), beating.stop.clone());
    tokio::spawn(async move {
        beat(
            &*platform,
            &active_jobs,
            &liveness,
            INTERVAL,
            &stop,
            &Events::default(),
        )
        .await;
    });
    beating
}

fn pings(platform: &MemoryPlatform) -> Vec<Vec<String>> {
    platform
        .exchanges()
        .into_iter()
        .filter_map(|exchange| match exchange {
            Exchange::Heartbeat { jobs } => Some(jobs.iter().map(ToString::to_string).collect()),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn pings_at_a_fixed_cadence_and_lists_what_is_held() {
    let beating = start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    beating.active_jobs.add(&"a".into());
    tokio::time::sleep(INTERVAL).await;
    beating.active_jobs.add(&"b".into());
    beating.active_jobs.finished(&"a".into(), 10);
    tokio::time::sleep(INTERVAL).await;
    beating.active_jobs.release(&"a".into());
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(
        pings(&beating.platform),
        [
            vec![],
            vec!["a".to_owned()],
            vec!["a".into(), "b".into()],
            vec!["b".into()]
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn stops_vouching_for_a_control_loop_that_is_stuck() {
    let beating = start();
    let alive = tokio::spawn(beating.liveness.clone().keep_fresh(Duration::from_secs(5)));
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(pings(&beating.platform).len(), 4);
    alive.abort();
    tokio::time::sleep(Duration::from_mins(5)).await;
    let while_stuck = pings(&beating.platform).len();
    assert!(
        (8..=11).contains(&while_stuck),
        "a minute more and not longer: {while_stuck}"
    );
    tokio::spawn(beating.liveness.clone().keep_fresh(Duration::from_secs(5)));
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert!(pings(&beating.platform).len() > while_stuck, "it moves again");
}

#[tokio::test(start_paused = true)]
async fn a_failing_ping_is_tried_again_but_not_into_the_next_ones_time() {
    let beating = start();
    let tries = Arc::new(AtomicUsize::new(0));
    let count = tries.clone();
    beating.platform.with_faults(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Some(Fault::Refuse(502))
    });
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(tries.load(Ordering::SeqCst), 4, "waits of 0, 2 and 4 s");
    beating
        .platform
        .with_faults(|_| Some(Fault::Delay(Duration::from_hours(1))));
    tokio::time::sleep(Duration::from_secs(25)).await;
    beating.platform.with_faults(|_| None);
    tokio::time::sleep(INTERVAL).await;
    assert!(
        !pings(&beating.platform).is_empty(),
        "a hung ping does not silence the next"
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_may_pass_is_tried_again_before_the_next_ping() {
    for (fault, tries) in [
        (Fault::LoseRequest, 4),
        (Fault::LoseAnswer, 4),
        (Fault::Refuse(429), 4),
        (Fault::Refuse(500), 4),
        (Fault::Refuse(502), 4),
        (Fault::Refuse(503), 4),
        (Fault::Refuse(504), 4),
        (Fault::Refuse(400), 1),
        (Fault::Refuse(401), 1),
        (Fault::Refuse(404), 1),
        (Fault::Refuse(501), 1),
    ] {
        let beating = start();
        let pings = Arc::new(AtomicUsize::new(0));
        let count = pings.clone();
        let shown = fault.clone();
        beating.platform.with_faults(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Some(fault.clone())
        });
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(pings.load(Ordering::SeqCst), tries, "{shown:?}");
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(
            pings.load(Ordering::SeqCst),
            2 * tries,
            "the next ping: {shown:?}"
        );
        beating.stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_platform_asks_for_is_kept_unless_the_next_ping_is_due_before() {
    // (seconds asked for, times of the pings in the first 25 seconds)
    for (asked, at) in [
        (0, vec![0, 0, 2, 6, 10, 10, 12, 16, 20, 20, 22]),
        (3, vec![0, 3, 6, 10, 13, 16, 20, 23]),
        (60, vec![0, 10, 20]),
    ] {
        let beating = start();
        let began = tokio::time::Instant::now();
        let times = Arc::new(Mutex::new(Vec::new()));
        let pings = times.clone();
        beating.platform.with_faults(move |_| {
            pings.lock().push(began.elapsed().as_secs());
            Some(Fault::RefuseFor(503, Duration::from_secs(asked)))
        });
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert_eq!(*times.lock(), at, "Retry-After: {asked}");
        beating.stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_failed_is_one_error_in_the_log_and_one_that_was_heard_none() {
    let log = LogCapture::begin();
    let beating = start();
    beating.platform.with_faults(|_| Some(Fault::Refuse(502)));
    tokio::time::sleep(Duration::from_secs(9)).await;
    let errors = log.lines_with("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("heartbeat failed") && errors[0].contains("502"),
        "{errors:?}"
    );
    beating.platform.with_faults(|_| None);
    tokio::time::sleep(INTERVAL).await;
    let sent = log.lines_with("heartbeat sent");
    assert!(
        sent.iter().all(|line| line.starts_with("DEBUG")) && !sent.is_empty(),
        "{sent:?}"
    );
    assert_eq!(log.lines_with("ERROR").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn says_nothing_after_the_worker_has_given_up() {
    let beating = start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    beating.active_jobs.add(&"a".into());
    beating.active_jobs.abandon();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(pings(&beating.platform).len(), 1);
    beating.stop.cancel();
}

#[test]
fn its_thread_goes_on_while_everything_else_is_blocked() {
    let active_jobs = Arc::new(ActiveJobs::new(16, 1 << 20));
    let liveness = Arc::new(Liveness::new(Duration::from_mins(1)));
    let (sent, pinged) = std::sync::mpsc::channel();
    let connect = move || {
        let platform = MemoryPlatform::new(Duration::from_secs(20));
        platform.with_faults(move |_| {
            let _ = sent.send(());
            None
        });
        let platform: Box<dyn Platform> = Box::new(platform);
        Ok(platform)
    };
    let heartbeat = on_thread(
        connect,
        active_jobs,
        liveness,
        Duration::from_millis(5),
        Events::default(),
    )
    .unwrap();
    // This thread is the blocked one: it does nothing but wait.
    for _ in 0..10 {
        pinged.recv_timeout(Duration::from_secs(10)).unwrap();
    }
    drop(heartbeat);
    assert!(pinged.recv_timeout(Duration::from_secs(10)).is_ok() || pinged.try_recv().is_err());
}
