//! Which server answers behind the WebUI's routes (`docs/webui-servers.md`).
//!
//! It is recognised by routes and names that only some have. None of these requests renders or changes anything.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::client::WebUi;
use super::error::WebUiError;
use super::routes::{LATENT_UPSCALERS, MODULES, SCHEDULERS};

/// A server that the worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerKind {
    /// AUTOMATIC1111 without schedulers.
    UpTo1_8,
    V1_9,
    /// AUTOMATIC1111 1.10, or later.
    V1_10,
    Forge,
    SdNext,
}

#[derive(Deserialize)]
struct Scheduler {
    #[serde(default)]
    name: String,
}

impl WebUi {
    /// Which server answers. Once known, it is not asked for again.
    pub(crate) async fn server_kind(&self) -> Result<ServerKind, WebUiError> {
        self.kind.get_or_try_init(|| self.find_kind()).await.copied()
    }

    async fn find_kind(&self) -> Result<ServerKind, WebUiError> {
        if self.has(MODULES).await? {
            return Ok(ServerKind::Forge);
        }
        // SD.Next has schedulers too, and its list of them fails.
        let schedulers = self.get_small::<Vec<Scheduler>>(SCHEDULERS).await;
        if matches!(&schedulers, Err(error) if error.status() == Some(404)) {
            return Ok(ServerKind::UpTo1_8);
        }
        if !self.has(LATENT_UPSCALERS).await? {
            return Ok(ServerKind::SdNext);
        }
        // 1.10 came with this scheduler.
        let is_newer = schedulers?.iter().any(|scheduler| scheduler.name == "align_your_steps");
        Ok(if is_newer { ServerKind::V1_10 } else { ServerKind::V1_9 })
    }

    /// Whether there is such a route, whatever it answers.
    async fn has(&self, route: &str) -> Result<bool, WebUiError> {
        match self.get_small::<IgnoredAny>(route).await {
            Ok(_) => Ok(true),
            Err(error) => match error.status() {
                Some(404 | 405) => Ok(false),
                Some(500) => Ok(true),
                _ => Err(error),
            },
        }
    }
}
