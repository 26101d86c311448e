//! Figures that a scraper reads while the worker works.

use std::path::Path;
use std::process::Command;

use mock_webui::{Fault, MockWebUi, Phase};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{EXAMPLE, Stage, soon, verdict};

const SERVED: (&str, &str) = ("RUNPOD_WORKER_METRICS", "127.0.0.1:0");
const SMALL: &str = r#"{"prompt": "x", "steps": 1, "width": 64, "height": 64}"#;

/// The figures as text, from where the worker says that it serves them.
pub(crate) async fn scrape(stage: &Stage) -> String {
    let line = stage.worker.says("/metrics").await;
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let mut stream = soon(TcpStream::connect(address)).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

/// The lines with these beginnings, without what time measures.
pub(crate) fn lines(text: &str, beginnings: &[&str]) -> String {
    let wanted = |line: &&str| beginnings.iter().any(|beginning| line.starts_with(beginning));
    let mut found: Vec<&str> = text.lines().filter(wanted).collect();
    // The order of series is that of a hash map.
    found.sort_unstable();
    found.join("\n")
}

#[tokio::test]
async fn a_scraper_reads_how_jobs_and_webui_are() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[("RUNPOD_WORKER_METRICS", "127.0.0.1:0")]).await;
    stage.complete(EXAMPLE).await;
    stage.fail(r#"{"steps": "many"}"#).await;
    stage.worker.says("Finished.").await;
    let text = scrape(&stage).await;
    let counted = lines(
        &text,
        &[
            "runpod_worker_jobs_finished_total",
            "sd_worker_backend_up",
            "sd_worker_success",
            "# TYPE sd_worker",
        ],
    );
    insta::assert_snapshot!(counted);
    assert!(text.ends_with("# EOF\n"), "{text}");
}

/// The value of one series.
fn figure(text: &str, series: &str) -> f64 {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no {series}:\n{text}"));
    value.parse().unwrap()
}

#[tokio::test]
async fn each_job_is_counted_by_its_times_and_each_error_by_its_code() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[SERVED]).await;
    for _ in 0..5 {
        stage.complete(SMALL).await;
    }
    stage.fail(r#"{"steps": "many"}"#).await;
    webui.inject(Fault::exception("RuntimeError", "boom"));
    stage.fail(SMALL).await;
    // A result is counted a moment after its client has it, its whole time last.
    let text = soon(async {
        loop {
            let text = scrape(&stage).await;
            if text.contains("\nrunpod_worker_job_end_to_end_seconds_count 7\n") {
                return text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let errors = lines(&text, &["runpod_worker_jobs_finished_total"]);
    assert_eq!(
        errors,
        [
            r#"runpod_worker_jobs_finished_total{outcome="completed",code=""} 5"#,
            r#"runpod_worker_jobs_finished_total{outcome="failed",code="BACKEND_ERROR"} 1"#,
            r#"runpod_worker_jobs_finished_total{outcome="failed",code="INVALID_PARAMETERS"} 1"#,
        ]
        .join("\n")
    );
    for times in [
        "job_end_to_end",
        "job_queue_wait",
        "job_handler",
        "job_readiness_wait",
        "job_inference",
        "result_delivery",
    ] {
        let series = |ending: &str| format!("runpod_worker_{times}_seconds_{ending}");
        assert!(
            (figure(&text, &series("count")) - 7.0).abs() < 0.1,
            "{times}:\n{text}"
        );
        assert!(figure(&text, &series("sum")) > 0.0, "{times}:\n{text}");
    }
    let whole = figure(&text, "runpod_worker_job_end_to_end_seconds_sum");
    assert!(whole >= figure(&text, "runpod_worker_job_inference_seconds_sum"));
    let success = figure(&text, "sd_worker_success_ratios");
    assert!(
        (success - 5.0 / 6.0).abs() < 0.001,
        "the user's mistake does not count: {success}"
    );
    assert!(figure(&text, "sd_worker_render_average_seconds") > 0.0);
    assert!(figure(&text, "sd_worker_render_trend_ratios") > 0.0);
}

#[tokio::test]
async fn a_webui_that_refuses_connections_is_down_until_it_is_back() {
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &[SERVED, ("SD_WORKER_RETRIES", "0")]).await;
    stage.complete(SMALL).await;
    webui.set_phase(Phase::Refusing).await;
    assert_eq!(verdict(&stage.fail(SMALL).await)[0], "BACKEND_UNAVAILABLE");
    let text = scrape(&stage).await;
    assert!(text.contains("\nsd_worker_backend_up 0.0\n"), "{text}");
    webui.set_phase(Phase::Ready).await;
    stage.worker.says("taking jobs again").await;
    let text = scrape(&stage).await;
    assert!(text.contains("\nsd_worker_backend_up 1.0\n"), "{text}");
}

/// A driver library with two cards, made by the system's C compiler.
pub(crate) fn driver(folder: &Path) {
    let source = include_str!("../../../tests/fixtures/driver.c")
        .replace("CUDA_VERSION", "12040")
        .replace("CARDS", "2")
        .replace("FOLDER", &format!("\"{}\"", folder.display()));
    let file = folder.join("driver.c");
    std::fs::write(&file, source).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&folder.join("libnvidia-ml.so.1"), &file])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn memory_and_load_of_each_gpu_are_asked_of_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    driver(folder.path());
    let webui = MockWebUi::start().await;
    let library = ("LD_LIBRARY_PATH", folder.path().to_str().unwrap());
    let stage = Stage::with(webui.url(), &[SERVED, library]).await;
    stage.complete(SMALL).await;
    let text = scrape(&stage).await;
    assert_eq!(
        lines(&text, &["runpod_worker_gpu_"]),
        [
            r#"runpod_worker_gpu_memory_free_bytes{gpu="0",name="Fake GPU"} 21474836480"#,
            r#"runpod_worker_gpu_memory_free_bytes{gpu="1",name="Fake GPU"} 8589934592"#,
            r#"runpod_worker_gpu_memory_total_bytes{gpu="0",name="Fake GPU"} 25769803776"#,
            r#"runpod_worker_gpu_memory_total_bytes{gpu="1",name="Fake GPU"} 17179869184"#,
            r#"runpod_worker_gpu_utilization_ratios{gpu="0",name="Fake GPU"} 0.37"#,
        ]
        .join("\n")
    );
}
