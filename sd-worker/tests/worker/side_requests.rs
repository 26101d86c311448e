//! The worker's own requests beside renders, each against a WebUI that fails it in every way: a job loses nothing by it,
//! and the next one is whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::support::{RawWebUi, Reply, Stage, aside, error_of, soon};

/// A job of which the settings are guarded and the names looked up.
const JOB: &str = r#"{"prompt": "x", "steps": 2, "override_settings": {"CLIP_stop_at_last_layers": 2, "forge_additional_modules": ["ae.safetensors"]}}"#;
const PLAIN: &str = r#"{"prompt": "x", "steps": 2}"#;
const PICTURE: &str = r#"{"images":["iVBORw0KGgo="],"parameters":{},"info":"{}"}"#;
const OUT_OF_MEMORY: &str =
    r#"{"error":"OutOfMemoryError","detail":"","body":"","errors":"CUDA out of memory."}"#;
const UNKNOWN: &str = r#"{"error":"RuntimeError","detail":"","body":"","errors":"boom"}"#;

/// A request that the worker makes of itself, by its start.
#[derive(Clone, Copy)]
struct SideRequest {
    start: &'static str,
    /// The answers to the jobs that lead to it; then renders work.
    failures: &'static [&'static str],
    /// Only the worker's own small render.
    canary: bool,
}

const fn of_a_job(start: &'static str) -> SideRequest {
    SideRequest {
        start,
        failures: &[],
        canary: false,
    }
}

const fn of_mending(start: &'static str, failures: &'static [&'static str]) -> SideRequest {
    SideRequest {
        start,
        failures,
        canary: false,
    }
}

const ALL: [SideRequest; 10] = [
    of_a_job("GET /sdapi/v1/progress"),
    of_a_job("GET /sdapi/v1/options"),
    of_a_job("POST /sdapi/v1/options"),
    of_a_job("GET /sdapi/v1/samplers"),
    of_a_job("GET /sdapi/v1/schedulers"),
    of_a_job("GET /sdapi/v1/sd-modules"),
    of_a_job("GET /openapi.json"),
    of_mending("POST /sdapi/v1/unload-checkpoint", &[OUT_OF_MEMORY]),
    of_mending("POST /sdapi/v1/reload-checkpoint", &[OUT_OF_MEMORY]),
    SideRequest {
        canary: true,
        ..of_mending("POST /sdapi/v1/txt2img", &[UNKNOWN, UNKNOWN, UNKNOWN])
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Refused,
    Reset,
    HalfABody,
    Garbage,
    /// Not answered until the test says so.
    Held,
}

impl Trouble {
    fn reply(self) -> Reply {
        match self {
            Self::Refused => Reply::json(500, UNKNOWN),
            Self::Reset => Reply::Cut(Vec::new()),
            Self::HalfABody => {
                let half = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n[{\"name\":";
                Reply::Cut(half.into())
            }
            Self::Garbage => Reply::typed(200, "text/html", "<html>\0\u{fffd}"),
            Self::Held => unreachable!("answered later"),
        }
    }
}

/// A Forge that fails one kind of request while `trouble` is armed.
struct Troubled {
    webui: RawWebUi,
    trouble: Arc<Mutex<Option<Trouble>>>,
    came: Arc<Notify>,
    /// A permit for each held request that is to be answered.
    release: Arc<Semaphore>,
}

impl Troubled {
    async fn start(side: SideRequest, trouble: Trouble) -> Self {
        let trouble = Arc::new(Mutex::new(Some(trouble)));
        let (came, release) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let renders = Arc::new(AtomicUsize::new(0));
        let server = (trouble.clone(), came.clone(), release.clone());
        let webui = RawWebUi::start(move |request| {
            let is_canary = String::from_utf8_lossy(&request.body).contains("warm-up");
            let is_it = request.start().starts_with(side.start) && is_canary == side.canary;
            if is_it && let Some(trouble) = *server.0.lock() {
                server.1.notify_one();
                if trouble == Trouble::Held {
                    let (release, good) = (server.2.clone(), well(request.start()));
                    return Box::pin(async move {
                        let _released = release.acquire().await;
                        good.unwrap_or_else(|| Reply::json(200, PICTURE))
                    });
                }
                return Box::pin(async move { trouble.reply() });
            }
            if request.start() == "POST /sdapi/v1/txt2img" {
                let failure = (!is_canary)
                    .then(|| renders.fetch_add(1, Ordering::SeqCst))
                    .and_then(|number| side.failures.get(number));
                let reply = failure.map_or_else(|| Reply::json(200, PICTURE), |body| Reply::json(500, body));
                return Box::pin(async move { reply });
            }
            match well(request.start()) {
                Some(reply) => Box::pin(async move { reply }),
                None => aside(&request),
            }
        })
        .await;
        Self {
            webui,
            trouble,
            came,
            release,
        }
    }

    async fn stage(&self) -> Stage {
        // Each render is probed, however short it is.
        let variables = [("SD_WORKER_CHECKS", "warn"), ("TUNING", "brief_render=0ms")];
        Stage::with(&self.webui.url, &variables).await
    }
}

/// What a Forge that is well answers.
fn well(start: &str) -> Option<Reply> {
    let body = match start {
        "GET /sdapi/v1/options" => {
            r#"{"sd_model_checkpoint": "x", "CLIP_stop_at_last_layers": 1, "forge_additional_modules": []}"#
        }
        "GET /sdapi/v1/samplers" => r#"[{"name": "Euler", "aliases": []}]"#,
        // One that no A1111 has.
        "GET /sdapi/v1/schedulers" => r#"[{"name": "turbo", "label": "Turbo"}]"#,
        "GET /sdapi/v1/sd-modules" => {
            r#"[{"model_name": "ae.safetensors", "filename": "/m/ae.safetensors"}]"#
        }
        "POST /sdapi/v1/options"
        | "POST /sdapi/v1/unload-checkpoint"
        | "POST /sdapi/v1/reload-checkpoint" => "null",
        start if start.starts_with("GET /sdapi/v1/progress") => {
            r#"{"progress": 0.0, "state": {"job_count": 0, "job_timestamp": "20260101000000"}}"#
        }
        _ => return None,
    };
    Some(Reply::json(200, body))
}

async fn fails_and_recovers(side: SideRequest, trouble: Trouble) {
    let troubled = Troubled::start(side, trouble).await;
    let stage = troubled.stage().await;
    let named = format!("{} {trouble:?}", side.start);
    if side.failures.is_empty() {
        let report = stage.run(JOB).await;
        assert_eq!(
            report.status.as_str(),
            "COMPLETED",
            "{named}: {:?}",
            report.error()
        );
    }
    for _ in side.failures {
        let report = stage.run(PLAIN).await;
        let code = error_of(&report)["code"].clone();
        assert!(
            code == "GPU_OUT_OF_MEMORY" || code == "BACKEND_ERROR",
            "{named}: {code}"
        );
    }
    soon(troubled.came.notified()).await;
    *troubled.trouble.lock() = None;
    if !side.failures.is_empty() {
        stage.worker.says("the WebUI is well again").await;
    }
    let report = stage.run(PLAIN).await;
    assert_eq!(
        report.status.as_str(),
        "COMPLETED",
        "{named}: {:?}",
        report.error()
    );
    assert_eq!(stage.platform.violations().len(), 0, "{named}");
    assert!(!stage.worker.log().contains("panicked"), "{named}");
}

#[tokio::test]
async fn no_trouble_of_a_side_request_costs_a_job_its_picture() {
    use Trouble::{Garbage, HalfABody, Refused, Reset};
    for side in ALL {
        join_all([Refused, Reset, HalfABody, Garbage].map(|trouble| fails_and_recovers(side, trouble))).await;
    }
}

async fn ends_on_sigterm(side: SideRequest) {
    let troubled = Troubled::start(side, Trouble::Held).await;
    let mut stage = troubled.stage().await;
    let mut last = stage
        .submit(if side.failures.is_empty() { JOB } else { PLAIN })
        .await;
    for _ in side.failures.iter().skip(1) {
        soon(last.wait()).await.unwrap();
        last = stage.submit(PLAIN).await;
    }
    soon(troubled.came.notified()).await;
    stage.worker.signal("TERM").await;
    if side.failures.is_empty() {
        stage.worker.says("SIGTERM received").await;
        *troubled.trouble.lock() = None;
        troubled.release.add_permits(1);
    }
    // What mends the WebUI is not waited for.
    let code = stage.worker.exit().await.code();
    assert_eq!(code, Some(0), "{}:\n{}", side.start, stage.worker.log());
    let report = soon(last.wait()).await.unwrap();
    let expected = if side.failures.is_empty() {
        "COMPLETED"
    } else {
        "FAILED"
    };
    assert_eq!(
        report.status.as_str(),
        expected,
        "{}: {:?}",
        side.start,
        report.error()
    );
    assert_eq!(stage.platform.violations().len(), 0, "{}", side.start);
}

#[tokio::test]
async fn a_worker_told_to_stop_in_the_middle_of_a_side_request_ends_and_delivers() {
    for sides in ALL.chunks(4) {
        join_all(sides.iter().map(|side| ends_on_sigterm(*side))).await;
    }
}
