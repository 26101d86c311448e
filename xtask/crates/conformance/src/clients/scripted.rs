//! A worker that does what the table says, and nothing else.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use runpod_sdk::local::LocalPlatform;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::limit;
use crate::wire::Wire;

/// Its id.
const WORKER: &str = "scripted";

/// One thing the worker does with its job.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Act {
    /// Posts a chunk of a stream.
    Chunk(Value),
    /// Posts this to `job-done`: a progress update or the result.
    Done(Value),
    /// Waits until a client's call is held open.
    ClientWaits,
    /// Waits until no client's call is held open any more.
    ClientLetGo,
    /// Waits until the platform tells it to stop the job.
    ToldToStop,
}

/// Takes one job from `endpoint` and does all `acts` with it.
pub(super) async fn play(
    platform: Arc<LocalPlatform>,
    wire: Wire,
    endpoint: String,
    acts: Vec<Act>,
) -> anyhow::Result<()> {
    let take = format!("job-take/{WORKER}?job_in_progress=0");
    let job = loop {
        // 204: the platform held the poll for as long as it does.
        if let Some(job) = wire.get(&take).await? {
            break job;
        }
    };
    let id = job["id"].as_str().context("a job without an id")?;
    for act in acts {
        match act {
            Act::Chunk(value) => {
                let body = json!({ "output": value });
                wire.post(&format!("job-stream/{WORKER}/{id}?isStream=false"), &body)
                    .await?;
            }
            Act::Done(body) => {
                wire.post(&format!("job-done/{WORKER}/{id}?isStream=false"), &body)
                    .await?;
            }
            Act::ClientWaits => {
                until(&platform, &endpoint, "a client's call to be held", |held| {
                    held > 0
                })
                .await?;
            }
            Act::ClientLetGo => {
                until(&platform, &endpoint, "a held call to be answered", |held| {
                    held == 0
                })
                .await?;
            }
            Act::ToldToStop => {
                let stop = wire.get(&format!("job-stop/{WORKER}")).await?;
                if stop != Some(json!({ "jobsToStop": [id] })) {
                    bail!("the platform did not tell the worker to stop its job, but {stop:?}");
                }
            }
        }
    }
    Ok(())
}

async fn until(
    platform: &LocalPlatform,
    endpoint: &str,
    what: &str,
    wanted: fn(usize) -> bool,
) -> anyhow::Result<()> {
    let activity = platform.until(endpoint, move |activity| wanted(activity.held));
    limit::within(what, activity).await.map(drop)
}
