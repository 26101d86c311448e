//! The client's side: submitting jobs and following them.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use runpod_local_cli::Announcement;
use runpod_sdk::client::{EndpointClient, JobHandle, JobReport, JobStatus};
use serde::Deserialize;
use support::progress::Progress;
use support::screen::Screen;

use crate::event::Event;

/// How often a running job's progress is looked at. The endpoint API does not push it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A job that is final, with the client's own times.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) report: JobReport,
    /// Just before the submission was sent.
    pub(crate) submitted: SystemTime,
    /// When the answer with the result had come.
    pub(crate) answered: SystemTime,
}

impl Finished {
    /// From the request to the result, as the client saw it.
    pub(crate) fn total(&self) -> Duration {
        self.answered.duration_since(self.submitted).unwrap_or_default()
    }
}

/// A client with the variables a person would set.
pub(crate) fn client(platform: &Announcement) -> anyhow::Result<EndpointClient> {
    let variable = |name: &str| platform.client_env.get(name).cloned().unwrap_or_default();
    EndpointClient::builder(&platform.endpoint)
        .base_url(variable("RUNPOD_ENDPOINT_BASE_URL"))
        .api_key(variable("RUNPOD_API_KEY"))
        .build()
        .context("cannot make a client")
}

/// Submits the event `count` times at once and follows the jobs in the order in which they are worked on.
pub(crate) async fn run_all(
    client: &EndpointClient,
    event: &Event,
    count: u32,
    screen: Screen,
) -> anyhow::Result<Vec<Finished>> {
    let mut submitted = Vec::new();
    for _ in 0..count {
        let at = SystemTime::now();
        let handle = client
            .run(event)
            .await
            .context("the platform did not take the job")?;
        // A task each, so that the time of an answer does not depend on whose progress is being shown.
        let answer = tokio::spawn({
            let handle = handle.clone();
            async move { (handle.wait().await, SystemTime::now()) }
        });
        submitted.push((at, handle, answer));
    }
    let mut finished = Vec::new();
    for (number, (at, handle, mut answer)) in (1..=count).zip(submitted) {
        let label = if count == 1 {
            "job".to_owned()
        } else {
            format!("job {number}/{count}")
        };
        let mut progress = Progress::new(screen, label.clone());
        let answer = tokio::select! {
            answer = &mut answer => answer,
            never = follow(&handle, &mut progress) => match never {},
        };
        drop(progress);
        let (report, answered) = answer.context("the task that waits for the job was lost")?;
        let report = report.with_context(|| format!("lost track of job {}", handle.id()))?;
        screen.stage(
            &label,
            format_args!("{} {}", report.status, screen.dim(&report.id)),
        );
        finished.push(Finished {
            report,
            submitted: at,
            answered,
        });
    }
    Ok(finished)
}

/// Shows a job's progress for as long as it is asked to.
async fn follow(handle: &JobHandle, progress: &mut Progress) -> Infallible {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        // A look that fails is made again; whether the job is lost is for the one who waits to say.
        if let Ok(report) = handle.status().await
            && report.status == JobStatus::InProgress
            && let Ok(update) = report.output::<Update>()
        {
            progress.show(update.percent / 100.0, &update.words());
        }
    }
}

/// What sd-worker says about a running job.
#[derive(Deserialize)]
struct Update {
    percent: f64,
    phase: String,
    step: Option<u32>,
    steps: Option<u32>,
    eta_s: Option<f64>,
}

impl Update {
    fn words(&self) -> String {
        let mut words = self.phase.clone();
        if let (Some(step), Some(steps)) = (self.step, self.steps) {
            words = format!("{words}, step {step} of {steps}");
        }
        if let Some(eta) = self.eta_s {
            words = format!("{words}, {eta:.1} s left");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_put_into_words() {
        let words = |json: &str| serde_json::from_str::<Update>(json).unwrap().words();
        let sampling = r#"{"phase":"sampling","percent":48,"step":12,"steps":25,"eta_s":1.31}"#;
        assert_eq!(words(sampling), "sampling, step 12 of 25, 1.3 s left");
        assert_eq!(words(r#"{"phase":"preparing","percent":1}"#), "preparing");
    }
}
