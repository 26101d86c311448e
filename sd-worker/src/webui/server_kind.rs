//! Which server answers behind the WebUI's routes (`docs/webui-servers.md`).
//!
//! It is recognised by its samplers and schedulers, which the worker needs to know anyhow, and where these are unusual, by
//! routes that only some have. None of these requests renders or changes anything.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::client::WebUi;
use super::error::WebUiError;
use super::routes::{LATENT_UPSCALERS, MODULES, SAMPLERS, SCHEDULERS};

/// The schedulers of AUTOMATIC1111. Forge has more.
const USUAL: [&str; 12] = [
    "align_your_steps",
    "automatic",
    "beta",
    "ddim",
    "exponential",
    "karras",
    "kl_optimal",
    "normal",
    "polyexponential",
    "sgm_uniform",
    "simple",
    "uniform",
];

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

/// What is known of the server that answers.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: ServerKind,
    pub(crate) samplers: Vec<Sampler>,
    /// Empty where they are not listed.
    pub(crate) schedulers: Vec<Scheduler>,
}

/// An entry of the list of samplers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Sampler {
    #[serde(default)]
    pub(crate) name: String,
    /// SD.Next lists none.
    #[serde(default)]
    aliases: Option<Vec<String>>,
}

/// An entry of the list of schedulers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Scheduler {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) aliases: Option<Vec<String>>,
}

impl WebUi {
    /// Which server answers. Once known, it is not asked for again.
    pub(crate) async fn server_kind(&self) -> Result<ServerKind, WebUiError> {
        Ok(self.server().await?.kind)
    }

    /// The server that answers. Once known, it is not asked for again.
    pub(crate) async fn server(&self) -> Result<&Server, WebUiError> {
        self.server.get_or_try_init(|| self.find_server()).await
    }

    async fn find_server(&self) -> Result<Server, WebUiError> {
        let samplers: Vec<Sampler> = self.get_small(SAMPLERS).await?;
        let schedulers: Result<Vec<Scheduler>, _> = self.get_small(SCHEDULERS).await;
        let without_aliases =
            !samplers.is_empty() && samplers.iter().all(|sampler| sampler.aliases.is_none());
        let status = schedulers.as_ref().err().and_then(WebUiError::status);
        // SD.Next fails on listing its own.
        let may_be_sd_next = without_aliases || status == Some(500);
        let (kind, schedulers) = if may_be_sd_next && !self.has(LATENT_UPSCALERS).await? {
            (ServerKind::SdNext, schedulers.unwrap_or_default())
        } else if status == Some(404) {
            (ServerKind::UpTo1_8, Vec::new())
        } else {
            let schedulers = schedulers?;
            (self.kind_with(&schedulers).await?, schedulers)
        };
        Ok(Server {
            kind,
            samplers,
            schedulers,
        })
    }

    /// The kind of a server with schedulers.
    async fn kind_with(&self, schedulers: &[Scheduler]) -> Result<ServerKind, WebUiError> {
        let is_usual = |scheduler: &Scheduler| USUAL.contains(&scheduler.name.as_str());
        Ok(if !schedulers.iter().all(is_usual) && self.has(MODULES).await? {
            ServerKind::Forge
        } else if schedulers
            .iter()
            .any(|scheduler| scheduler.name == "align_your_steps")
        {
            // 1.10 came with this one.
            ServerKind::V1_10
        } else {
            ServerKind::V1_9
        })
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
