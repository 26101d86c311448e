//! Figures of whole lives, on a paused clock.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::Metrics;
use crate::events::{WorkerEvent, point};
use crate::testing::Harness;
use crate::{Context, JobError, JobResult, Worker};

async fn paint(seconds: u64, ctx: Context) -> JobResult<String> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    ctx.mark(point::READINESS_CHECKED);
    ctx.mark(point::INFERENCE_STARTED);
    ctx.progress("painting");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    ctx.mark(point::INFERENCE_FINISHED);
    if seconds == 13 {
        return Err(JobError::message_only("out of paint"));
    }
    Ok("picture".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_life_in_figures() {
    let metrics = Metrics::new();
    let harness = Harness::new(Worker::new(paint).concurrency(2).metrics(&metrics));
    for seconds in [2, 30, 13] {
        harness.submit(seconds).finished().await;
    }
    harness.submit(json!("no number")).finished().await;
    let stopped = harness.submit(60);
    stopped.taken().await;
    stopped.cancel();
    stopped.finished().await;
    let running = harness.submit(60);
    running.taken().await;
    tokio::time::sleep(Duration::from_millis(1)).await;

    insta::with_settings!({filters => vec![
        (r"(start_time_seconds|resident_memory_bytes) [0-9.e+]+", "$1 [value]"),
        (r#"version="[^"]+""#, r#"version="[version]""#),
        // Its size depends on the text of errors.
        (r#"(kind="result"\}) [0-9]+"#, "$1 [bytes]"),
    ]}, {
        insta::assert_snapshot!(sorted(&metrics.render()));
    });
    assert!(harness.shut_down().await);
    let figures = figures(&metrics.render());
    assert_eq!(figures["runpod_worker_jobs_running"], "0");
    assert_eq!(figures["runpod_worker_taking"], "0");
    assert_eq!(figures["runpod_worker_results_undelivered"], "0");
}

/// The series of one family come in any order; histograms keep theirs.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for series in lines.chunk_by_mut(|a, b| !a.starts_with('#') && !b.starts_with('#')) {
        if series.iter().all(|line| !line.contains("le=")) {
            series.sort_unstable();
        }
    }
    lines.join("\n")
}

#[test]
fn failures_of_the_platform_are_counted_by_what_was_asked() {
    let metrics = Metrics::new();
    for status in [Some(502), Some(502), None] {
        metrics.count(&WorkerEvent::RequestFailed {
            operation: "take",
            status,
            reason: String::new(),
        });
    }
    metrics.count(&WorkerEvent::PlatformUnreachable {
        reason: String::new(),
    });
    let figures = figures(&metrics.render());
    assert_eq!(
        figures[r#"runpod_worker_platform_errors_total{operation="take",status="502"}"#],
        "2"
    );
    assert_eq!(
        figures[r#"runpod_worker_platform_errors_total{operation="take",status="none"}"#],
        "1"
    );
    assert_eq!(figures["runpod_worker_platform_up"], "0");
}

#[test]
fn a_program_adds_figures_of_its_own() {
    use prometheus_client::metrics::gauge::Gauge;

    let metrics = Metrics::new();
    let heat: Gauge = Gauge::default();
    metrics.registry(|registry| {
        registry
            .sub_registry_with_prefix("my_worker")
            .register("heat", "How hot it is", heat.clone());
    });
    heat.set(70);
    assert_eq!(figures(&metrics.render())["my_worker_heat"], "70");
}

/// Reads `OpenMetrics` text as strictly as its grammar is: metadata first, samples of the announced family
/// with the suffixes of its type, each series once, buckets that grow, `# EOF` at the end and nowhere else.
pub(crate) fn figures(text: &str) -> BTreeMap<String, String> {
    let mut figures = BTreeMap::new();
    let mut family = String::new();
    let mut kinds: BTreeMap<String, String> = BTreeMap::new();
    let body = text.strip_suffix("# EOF\n").expect("the text ends with # EOF");
    let mut last_bucket: (String, f64) = Default::default();
    for line in body.lines() {
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (what, name) = (words.next().unwrap(), words.next().unwrap());
            let value = words.next().unwrap_or_default();
            match what {
                "HELP" => {
                    assert!(!value.is_empty(), "{line}");
                    family = name.to_owned();
                }
                "TYPE" => {
                    name.clone_into(&mut family);
                    let again = kinds.insert(name.to_owned(), value.to_owned());
                    assert_eq!(again, None, "{name} is described twice");
                }
                "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));

        let number: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let suffixes: &[&str] = match kinds.get(&family).map(String::as_str) {
            Some("counter") => &["_total"],
            Some("histogram") => &["_sum", "_count", "_bucket"],
            Some("info") => &["_info"],
            Some("gauge") => &[""],
            kind => panic!("{line}: {kind:?}"),
        };
        let suffix = name
            .strip_prefix(family.as_str())
            .unwrap_or_else(|| panic!("{line} among {family}"));
        assert!(suffixes.contains(&suffix), "{line}: suffix {suffix}");
        if suffix == "_bucket" {
            let others = labels.split("le=").next().unwrap_or_default().to_owned();
            let same = last_bucket.0 == format!("{name}{others}");
            assert!(!same || number >= last_bucket.1, "{line}: buckets shrink");
            last_bucket = (format!("{name}{others}"), number);
        } else {
            last_bucket = Default::default();
        }
        let again = figures.insert(series.to_owned(), value.to_owned());
        assert_eq!(again, None, "{series} comes twice");
    }
    figures
}
