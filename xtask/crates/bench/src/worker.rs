//! A worker made with the SDK, for the rows that are about the SDK alone.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use hyper::Method;
use runpod_sdk::json::RawJson;
use runpod_sdk::{Context, JobError, JobResult, State, Worker};
use tokio::sync::Mutex;

use crate::floor::{Server, connect};

/// How the worker works.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Send each input to the WebUI, which takes this time for it; without this, echo it
    #[arg(long, value_name = "MS")]
    render: Option<u64>,
}

/// Works until a signal, as every worker does.
pub(crate) fn run(options: &Options) -> ExitCode {
    let worker = match options.render {
        Some(millis) => rendering(Duration::from_millis(millis)),
        None => Worker::new(|input: RawJson| async move { Ok::<_, JobError>(input) }),
    };
    // Its handlers only wait.
    runpod_sdk::start(worker.on_one_thread())
}

/// A handler that knows how long its backend needs, and says so.
fn rendering(time: Duration) -> Worker {
    let render = move |input: RawJson, ctx: Context, State(webui): State<Arc<Mutex<Server>>>| async move {
        ctx.finishing_in(time);
        let input = Bytes::copy_from_slice(input.as_bytes());
        let mut webui = webui.lock().await;
        let (_, answer) = webui
            .ask(Method::POST, "/sdapi/v1/txt2img", input, ["", ""])
            .await?;
        JobResult::Ok(RawJson::parse(answer)?)
    };
    Worker::new(render).state_with(|| async {
        let webui = std::env::var("SD_WORKER_WEBUI_URL").context("SD_WORKER_WEBUI_URL")?;
        let (server, _) = connect(&webui, "").await?;
        anyhow::Ok(Arc::new(Mutex::new(server)))
    })
}
