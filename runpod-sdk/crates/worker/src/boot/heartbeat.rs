//! Starts the heartbeat of a worker that has an id, a key and a ping URL.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info};

use crate::error::Error;
use crate::events::Events;
use crate::platform::{HttpPlatform, Platform, client};
use crate::runtime::{self, ActiveJobs, HeartbeatThread, Liveness};
use crate::settings::{Config, WorkerLimits};

/// The interval at which the control loop gives a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Starts the heartbeat. Without a key, an id or a ping URL it logs the reason and starts none.
pub(super) fn start(
    config: &Arc<Config>,
    limits: WorkerLimits,
    active_jobs: &Arc<ActiveJobs>,
    events: &Events,
) -> Result<Option<HeartbeatThread>, Error> {
    if config.api_key.is_none() {
        debug!("no heartbeat: RUNPOD_AI_API_KEY is not set");
        return Ok(None);
    }
    if !config.worker_id_is_known {
        info!("no heartbeat: RUNPOD_POD_ID is not set");
        return Ok(None);
    }
    if config.ping.is_none() {
        error!("no heartbeat: RUNPOD_WEBHOOK_PING is not set");
        return Ok(None);
    }
    let liveness = Arc::new(Liveness::new(limits.stuck_after));
    tokio::spawn(liveness.clone().keep_fresh(SIGN_OF_LIFE));
    let interval = config.ping_interval;
    let config = config.clone();
    let connect = move || {
        let client = client(&config, limits, config.needs_tls())?;
        let platform: Box<dyn Platform> = Box::new(HttpPlatform::new(&config, limits, client));
        Ok(platform)
    };
    runtime::on_thread(connect, active_jobs.clone(), liveness, interval, events.clone()).map(Some)
}
