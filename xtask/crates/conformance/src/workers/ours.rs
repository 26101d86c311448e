//! Our worker with the handlers of the workers' table, as `published/worker.py` has them for the published one.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use futures_util::stream;
use runpod_sdk::{Context, JobError, JobResult, Streaming, Worker};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Where handlers wait to be let on.
pub(super) const GATE: &str = "CONFORMANCE_GATE";

/// Be our worker in a conformance run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// One of the handlers of the table.
    handler: String,
}

/// Runs the worker until it ends.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let worker = worker(&options.handler)
        .with_context(|| format!("there is no handler called `{}`", options.handler))?;
    Ok(runpod_sdk::start(worker))
}

/// What a handler does stands in its job's input.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Order {
    progress: Option<Value>,
    gate: bool,
    refresh: bool,
    raise: Option<String>,
    r#return: Value,
    r#yield: Vec<Value>,
}

fn worker(handler: &str) -> Option<Worker> {
    Some(match handler {
        "plain" => Worker::blocking(|order: Order, ctx: Context| plain(order, &ctx)),
        "async" => Worker::new(asynchronous),
        "generator" | "async-generator" => Worker::new(async |order: Order| JobResult::Ok(chunks(order))),
        "aggregate" | "async-aggregate" => {
            Worker::new(async |order: Order| JobResult::Ok(chunks(order).aggregated()))
        }
        "concurrent" => Worker::new(asynchronous).concurrency(2),
        "refresh" => Worker::blocking(|order: Order, ctx: Context| plain(order, &ctx)).refresh_worker(true),
        "unfit" => Worker::blocking(|order: Order, ctx: Context| plain(order, &ctx))
            .fitness_check("weights", async || {
                Err::<(), _>(failure("the model is not there"))
            }),
        _ => return None,
    })
}

fn plain(order: Order, ctx: &Context) -> JobResult<Value> {
    begin(&order, ctx);
    if order.gate {
        let mut gate = std::net::TcpStream::connect(gate())?;
        gate.write_all(hello(ctx).as_bytes())?;
        let _ = gate.read(&mut [0])?;
    }
    end(order, ctx)
}

async fn asynchronous(order: Order, ctx: Context) -> JobResult<Value> {
    begin(&order, &ctx);
    if order.gate {
        let mut gate = tokio::net::TcpStream::connect(gate()).await?;
        gate.write_all(hello(&ctx).as_bytes()).await?;
        tokio::select! {
            let_on = gate.read_u8() => drop(let_on),
            _ = ctx.cancelled() => return Err(JobError::message_only("cancelled")),
        }
    }
    end(order, &ctx)
}

type Chunks = stream::Iter<std::vec::IntoIter<JobResult<Value>>>;

fn chunks(order: Order) -> Streaming<Chunks> {
    let failure = order.raise.map(|text| Err(failure(&text).into()));
    let chunks: Vec<_> = order.r#yield.into_iter().map(Ok).chain(failure).collect();
    Streaming::new(stream::iter(chunks))
}

fn begin(order: &Order, ctx: &Context) {
    if let Some(progress) = &order.progress {
        ctx.progress(progress.clone());
    }
}

fn end(order: Order, ctx: &Context) -> JobResult<Value> {
    if let Some(text) = order.raise {
        return Err(failure(&text).into());
    }
    if order.refresh {
        ctx.refresh_worker();
    }
    Ok(order.r#return)
}

/// An error of some type, as `ValueError` is one.
fn failure(text: &str) -> std::io::Error {
    std::io::Error::other(text)
}

fn gate() -> String {
    std::env::var(GATE).unwrap_or_default()
}

fn hello(ctx: &Context) -> String {
    format!("{}\n", ctx.job_id())
}
