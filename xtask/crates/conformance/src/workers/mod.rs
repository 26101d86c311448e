//! The published Python worker and ours, each under the platform, through the same jobs.
//!
//! Every run of the table has a process and an endpoint of its own on each side.

mod gate;
mod look;
pub(crate) mod ours;
mod play;
pub(super) mod table;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runpod_sdk::local::{EndpointSettings, LocalPlatform};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::play::Stage;
use self::table::Run;
use super::report::{Row, Steps};
use super::setup::Kit;

/// The key the platform asks for.
const KEY: &str = "conformance-key";
/// How many runs there are at once. More of them would wait for the processor, not for events.
const AT_ONCE: usize = 4;
/// How long the platform holds polls. The published worker ends only when its polls have been answered.
const TAKE_HOLD: Duration = Duration::from_secs(2);
/// Another time, so that not both polls are answered at the same moment.
const STOP_HOLD: Duration = Duration::from_secs(3);

/// Whose worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    Python,
    Ours,
}

pub(super) const SIDES: [Side; 2] = [Side::Python, Side::Ours];

impl Side {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Python => "Python worker 1.12.0",
            Self::Ours => "our worker",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Python => "python-worker",
            Self::Ours => "our-worker",
        }
    }

    fn endpoint(self, run: &Run) -> String {
        let name = run
            .name
            .replace(|character: char| !character.is_ascii_alphanumeric(), "-");
        format!("{}-{name}", self.id())
    }
}

/// Takes both workers through all runs and compares what the platform saw with the table.
pub(super) async fn run(kit: &Kit, runs: &[Run], steps: &Steps) -> anyhow::Result<Vec<Row>> {
    let plays: Vec<_> = SIDES
        .into_iter()
        .flat_map(|side| runs.iter().map(move |run| (side, run.clone())))
        .collect();
    let mut builder = LocalPlatform::builder().api_key(KEY).record_calls(true);
    let settings = EndpointSettings::default()
        .take_hold(TAKE_HOLD)
        .stop_hold(STOP_HOLD);
    for (side, run) in &plays {
        builder = builder.endpoint_with(side.endpoint(run), settings.clone());
    }
    let platform = Arc::new(builder.start().await.context("the platform did not start")?);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (side, run) in plays {
        let stage = Stage::new(side, run, kit, Arc::clone(&platform))?;
        let places = Arc::clone(&places);
        tasks.spawn(async move {
            let _place = places.acquire_owned().await;
            stage.play().await
        });
    }
    let mut rows = Vec::new();
    while let Some(played) = tasks.join_next().await {
        let played = played.context("a worker's run broke off")?;
        steps.done(&played);
        rows.extend(played);
    }
    Ok(rows)
}
