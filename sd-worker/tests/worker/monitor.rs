//! Figures that a scraper reads while the worker works.

use mock_webui::MockWebUi;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{EXAMPLE, Stage, soon};

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
