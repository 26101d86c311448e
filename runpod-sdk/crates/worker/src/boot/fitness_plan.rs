//! The fitness checks of a start, and the report of a failure.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::debug;

use super::http_client::http_client;
use crate::error::Error;
use crate::fitness::{self, Automatic, CheckEnvironment, FitnessCheck, Unfit};
use crate::platform::HttpPlatform;
use crate::settings::{Config, WorkerLimits};

/// The checks of one start.
#[derive(Default)]
pub(crate) struct FitnessPlan {
    /// The automatic checks, which come after the worker's own.
    pub(super) automatic: Automatic,
    /// The settings of the checks from the environment.
    pub(super) environment: Arc<CheckEnvironment>,
    /// The platform to which a failure is reported.
    pub(super) report: Option<Arc<Config>>,
    /// Whether checks are made. A local test makes none.
    pub(super) enabled: bool,
}

impl FitnessPlan {
    /// No checks, for a local job or a test.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Adds the worker's own checks.
    pub(super) fn with(self, own: Vec<FitnessCheck>, limit: Duration) -> FitnessRun {
        let Automatic { before, beside } = self.automatic;
        let mut checks = if self.enabled { own } else { Vec::new() };
        checks.extend(before);
        FitnessRun {
            checks,
            beside,
            environment: self.environment,
            report: self.report,
            limit,
        }
    }
}

/// The checks of one start, the worker's own included.
pub(super) struct FitnessRun {
    checks: Vec<FitnessCheck>,
    beside: Option<FitnessCheck>,
    environment: Arc<CheckEnvironment>,
    report: Option<Arc<Config>>,
    limit: Duration,
}

impl FitnessRun {
    /// Makes the checks that must pass before the first job. Returns a future of the failure of the check that runs
    /// beside the work; it never ends if that check passes.
    pub(super) async fn check(self, handlers: &Handle) -> Result<impl Future<Output = Error> + use<>, Error> {
        let Self {
            checks,
            beside,
            environment,
            report,
            limit,
        } = self;
        let beside = beside.map(|check| tokio::spawn(fitness::run_one(check, environment.clone(), limit)));
        if let Err(unfit) = fitness::run(checks, environment, limit, handlers).await {
            return Err(report_unfit(report, unfit).await);
        }
        Ok(async move {
            if let Some(checking) = beside
                && let Ok(Err(unfit)) = checking.await
            {
                return report_unfit(report, unfit).await;
            }
            std::future::pending().await
        })
    }
}

/// Reports to the platform why this worker is unfit, if it has a key and a ping URL.
async fn report_unfit(config: Option<Arc<Config>>, Unfit { check, reason }: Unfit) -> Error {
    if let Some(config) = config.filter(|config| config.api_key.is_some() && config.ping.is_some()) {
        let reporting = async {
            let limits = WorkerLimits::default();
            let client = http_client(config.clone(), limits).await?;
            let platform = HttpPlatform::new(&config, limits, client);
            platform.report_unfit(&check, &reason).await.map_err(Error::from)
        };
        if let Err(error) = reporting.await {
            debug!(%error, "the platform does not know that this worker is unfit");
        }
    }
    Error::Unfit { check, reason }
}
