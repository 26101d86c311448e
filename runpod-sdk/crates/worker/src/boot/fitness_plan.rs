//! Which fitness checks a start makes, and who is told when one fails.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::debug;

use crate::error::Error;
use crate::fitness::{self, Automatic, CheckEnvironment, FitnessCheck, Unfit};
use crate::platform::HttpPlatform;
use crate::settings::{Config, Limits};

/// The checks of one start.
#[derive(Default)]
pub(crate) struct FitnessPlan {
    /// The automatic checks; those of the worker itself come before them.
    pub(super) automatic: Automatic,
    /// What the checks know of the machine.
    pub(super) environment: Arc<CheckEnvironment>,
    /// The platform that is told of a failure, if there is a way to.
    pub(super) report: Option<Arc<Config>>,
    /// Whether any check is made; a local test makes none.
    pub(super) enabled: bool,
}

impl FitnessPlan {
    /// No checks: a local job, or a test.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// The plan with the worker's own checks.
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
    /// Makes the checks that must pass before the first job. Returns the failure of the one that runs beside the
    /// work: a future that never ends if that check passes.
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

/// Tells the platform why this worker goes, if there is a way to.
async fn report_unfit(config: Option<Arc<Config>>, Unfit { check, reason }: Unfit) -> Error {
    if let Some(config) = config.filter(|config| config.api_key.is_some() && config.ping.is_some()) {
        let reporting = async {
            let limits = Limits::default();
            let client = super::deployed::http_client(config.clone(), limits).await?;
            let platform = HttpPlatform::new(&config, limits, client);
            platform.report_unfit(&check, &reason).await.map_err(Error::from)
        };
        if let Err(error) = reporting.await {
            debug!(%error, "the platform does not know that this worker is unfit");
        }
    }
    Error::Unfit { check, reason }
}
