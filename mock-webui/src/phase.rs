//! The life of the imitated process: start-up, service, death.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How far the server has come since its start (`docs/protocol/webui-api.md` §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// Nothing listens: connections are refused.
    Refusing,
    /// The web page listens, the API routes do not exist yet: `/sdapi/…` answers 404. Only in web-page mode.
    PageOnly,
    /// Every route answers; generations wait for the model.
    ModelLoading,
    /// The model is loaded.
    Ready,
}

/// The phase of the imitated process, and how often it has been started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessState {
    pub(crate) phase: Phase,
    /// Counts starts; work of an earlier start is abandoned.
    pub(crate) start: u64,
}

/// How long each phase of a start lasts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Startup {
    pub(crate) refusing: Duration,
    pub(crate) page_only: Duration,
    pub(crate) loading: Duration,
}

impl Startup {
    /// The phase at the very beginning.
    pub(crate) fn first(self) -> Phase {
        if self.refusing > Duration::ZERO {
            Phase::Refusing
        } else if self.page_only > Duration::ZERO {
            Phase::PageOnly
        } else if self.loading > Duration::ZERO {
            Phase::ModelLoading
        } else {
            Phase::Ready
        }
    }

    /// Walks through the phases. Stops early when the phase is changed from outside.
    pub(crate) async fn run(self, life: watch::Sender<ProcessState>) {
        let ProcessState { phase: first, start } = *life.borrow();
        for (phase, lasts, next) in [
            (Phase::Refusing, self.refusing, Phase::PageOnly),
            (Phase::PageOnly, self.page_only, Phase::ModelLoading),
            (Phase::ModelLoading, self.loading, Phase::Ready),
        ] {
            if phase < first {
                continue;
            }
            if *life.borrow() != (ProcessState { phase, start }) {
                return;
            }
            tokio::time::sleep(lasts).await;
            life.send_if_modified(|life| {
                let ours = *life == ProcessState { phase, start };
                if ours {
                    life.phase = next;
                }
                ours
            });
        }
    }
}
