//! One job of a harness: its updates while it runs, and its outcome.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::job::JobId;
use crate::platform::memory::{Exchange, MemoryPlatform};
use crate::runtime::{ActiveJobs, Ended};

/// A job that has been submitted to a [`Harness`](super::Harness).
pub struct RunningJob {
    id: JobId,
    platform: Arc<MemoryPlatform>,
    active_jobs: Arc<ActiveJobs>,
    ended: watch::Receiver<Option<Ended>>,
    progress_seen: usize,
    chunks_seen: usize,
}

impl RunningJob {
    pub(super) fn new(
        id: JobId,
        platform: Arc<MemoryPlatform>,
        active_jobs: Arc<ActiveJobs>,
        ended: watch::Receiver<Option<Ended>>,
    ) -> Self {
        Self {
            id,
            platform,
            active_jobs,
            ended,
            progress_seen: 0,
            chunks_seen: 0,
        }
    }

    /// The job's id.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// Waits until a worker has taken the job.
    pub async fn taken(&self) {
        self.active_jobs.until(|jobs| jobs.contains(&self.id)).await;
    }

    /// Waits for the job's next progress update.
    pub async fn next_progress(&mut self) -> Value {
        let (id, seen) = (self.id.clone(), self.progress_seen);
        let body = self
            .platform
            .until(|exchanges| progress_of(exchanges, &id).nth(seen).map(str::to_owned))
            .await;
        self.progress_seen += 1;
        output_in(&body)
    }

    /// Waits for the next chunk of a streaming handler.
    pub async fn next_chunk(&mut self) -> Value {
        let (id, seen) = (self.id.clone(), self.chunks_seen);
        let body = self
            .platform
            .until(|exchanges| chunks_of(exchanges, &id).nth(seen).map(str::to_owned))
            .await;
        self.chunks_seen += 1;
        output_in(&body)
    }

    /// Cancels the job, as a client of the endpoint does.
    pub fn cancel(&self) {
        self.platform.stop(self.id.as_str());
    }

    /// Waits for the end of the job, and returns its run.
    pub async fn finished(mut self) -> JobRun {
        // A stopped job posts nothing. It has ended when it is no longer active.
        let id = self.id.clone();
        let posted = self.platform.result(id.as_str());
        let released = async {
            self.active_jobs.until(|jobs| jobs.contains(&id)).await;
            self.active_jobs.until(|jobs| !jobs.contains(&id)).await;
        };
        let stopped_early = self.platform.until_dropped(&id);
        tokio::select! {
            biased;
            _ = posted => {}
            () = released => {}
            () = stopped_early => {}
            _ = self.ended.wait_for(Option::is_some) => {}
        }
        JobRun::collect(&self.id, &self.platform.exchanges())
    }
}

impl fmt::Debug for RunningJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningJob")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobEnd {
    /// It completed with this output.
    Completed(Value),
    /// It failed with this error: the object with `error_message`, `code`, `class` and the rest.
    Failed(Value),
    /// It was stopped; nothing was posted.
    Stopped,
}

/// The run of one job. It implements `Serialize`, for snapshots.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobRun {
    /// How it ended.
    pub end: JobEnd,
    /// The progress updates that were sent.
    pub progress: Vec<Value>,
    /// The chunks of a streaming handler.
    pub chunks: Vec<Value>,
}

impl JobRun {
    /// The output, if the job completed.
    pub fn output(&self) -> Option<&Value> {
        match &self.end {
            JobEnd::Completed(output) => Some(output),
            _ => None,
        }
    }

    /// The error's code, if the job failed.
    pub fn error_code(&self) -> Option<&str> {
        match &self.end {
            JobEnd::Failed(error) => error["code"].as_str(),
            _ => None,
        }
    }

    /// The error's message, if the job failed.
    pub fn error_message(&self) -> Option<&str> {
        match &self.end {
            JobEnd::Failed(error) => error["error_message"].as_str(),
            _ => None,
        }
    }

    fn collect(id: &JobId, exchanges: &[Exchange]) -> Self {
        let result = exchanges.iter().find_map(|exchange| match exchange {
            Exchange::Result { job, body, .. } if job == id => Some(body),
            _ => None,
        });
        Self {
            end: result.map_or(JobEnd::Stopped, |body| end_in(body)),
            progress: progress_of(exchanges, id).map(output_in).collect(),
            chunks: chunks_of(exchanges, id).map(output_in).collect(),
        }
    }
}

fn end_in(body: &str) -> JobEnd {
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    match body.get("error").and_then(Value::as_str) {
        Some(error) => JobEnd::Failed(serde_json::from_str(error).unwrap_or_else(|_| error.into())),
        None => JobEnd::Completed(body["output"].take()),
    }
}

fn output_in(body: &str) -> Value {
    serde_json::from_str::<Value>(body)
        .map(|mut body| body["output"].take())
        .unwrap_or_default()
}

fn progress_of<'a>(exchanges: &'a [Exchange], id: &JobId) -> impl Iterator<Item = &'a str> {
    let id = id.clone();
    exchanges.iter().filter_map(move |exchange| match exchange {
        Exchange::Progress { job, body } if *job == id => Some(body.as_str()),
        _ => None,
    })
}

fn chunks_of<'a>(exchanges: &'a [Exchange], id: &JobId) -> impl Iterator<Item = &'a str> {
    let id = id.clone();
    exchanges.iter().filter_map(move |exchange| match exchange {
        Exchange::Chunk { job, body } if *job == id => Some(body.as_str()),
        _ => None,
    })
}
