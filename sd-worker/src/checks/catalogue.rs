//! The WebUI's lists. They are kept, and fetched once more when a name is missing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex as SyncMutex;
use serde_json::Value;
use tokio::sync::Mutex;
use tracing::warn;

use super::list::{List, ListEntry};
use super::script_info::Script;
use crate::webui::{OPTIONS, ServerKind, WebUi, WebUiError};

/// How long a list that could not be had is not asked for again. A slow one would delay every job.
const FAILURE_KEPT: Duration = Duration::from_mins(1);
const SCRIPT_INFO: &str = "/sdapi/v1/script-info";
const FLAGS: &str = "/sdapi/v1/cmd-flags";

/// A list as it was last fetched; `None` if this WebUI has no such list.
pub(super) type Seen = Option<Arc<Vec<ListEntry>>>;

/// A list that cannot be had now, by the last part of its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unavailable(pub(super) &'static str);

/// The lists of one WebUI, as they were last fetched.
#[derive(Debug)]
pub(super) struct Catalogue {
    webui: WebUi,
    seen: Mutex<HashMap<List, Seen>>,
    scripts: Mutex<Option<Arc<Vec<Script>>>>,
    /// When a route last failed.
    failures: SyncMutex<HashMap<&'static str, Instant>>,
}

impl Catalogue {
    pub(super) fn new(webui: WebUi) -> Self {
        Self {
            webui,
            seen: Mutex::default(),
            scripts: Mutex::default(),
            failures: SyncMutex::default(),
        }
    }

    /// Which server answers, if that can be found out.
    pub(super) async fn server(&self) -> Option<ServerKind> {
        self.webui.server_kind().await.ok()
    }

    /// A list as it was last fetched. `fresh` fetches it again.
    pub(super) async fn list(&self, list: List, fresh: bool) -> Result<Seen, Unavailable> {
        let known = self.seen.lock().await.get(&list).cloned();
        match known {
            Some(seen) if !fresh => Ok(seen),
            _ => {
                let seen = self.fetch(list).await?.map(Arc::new);
                self.seen.lock().await.insert(list, seen.clone());
                Ok(seen)
            }
        }
    }

    /// The scripts with their arguments; `None` if this WebUI does not list them.
    pub(super) async fn scripts(&self) -> Result<Option<Arc<Vec<Script>>>, Unavailable> {
        let mut known = self.scripts.lock().await;
        if known.is_none() {
            let answer = self.ask(SCRIPT_INFO).await?;
            *known = answer
                .and_then(|answer| serde_json::from_value(answer).ok())
                .map(Arc::new);
        }
        Ok(known.clone())
    }

    /// The WebUI's settings.
    pub(super) async fn options(&self) -> Result<Option<Value>, Unavailable> {
        self.ask(OPTIONS).await
    }

    /// The WebUI's command line. Forge cannot answer it, so a failure is no fault.
    pub(super) async fn flags(&self) -> Option<Value> {
        self.webui.list(FLAGS).await.ok()
    }

    /// Fetches a list. `None` for one that this WebUI does not have.
    async fn fetch(&self, list: List) -> Result<Option<Vec<ListEntry>>, Unavailable> {
        let mut entries = Vec::new();
        let mut answered = false;
        for (route, read) in list.routes() {
            if let Some(answer) = self.ask(route).await? {
                answered = true;
                let named = read(&answer)
                    .into_iter()
                    .filter(|entry| !entry.names().is_empty());
                entries.extend(named);
            }
        }
        let is_known = !entries.is_empty() || (answered && list.may_be_empty());
        Ok(is_known.then_some(entries))
    }

    /// Asks for a list, unless that has just failed. `None` if this version has no such route, or the extension is not
    /// installed.
    async fn ask(&self, route: &'static str) -> Result<Option<Value>, Unavailable> {
        let name = Unavailable(last_part(route));
        let failed = self.failures.lock().get(route).copied();
        if failed.is_some_and(|at| at.elapsed() < FAILURE_KEPT) {
            return Err(name);
        }
        match self.webui.list::<Value>(route).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => {
                warn!(%error, route, "a list can't be had, so its names are not checked");
                self.failures.lock().insert(route, Instant::now());
                Err(name)
            }
        }
    }
}

fn is_absent(error: &WebUiError) -> bool {
    matches!(error.status(), Some(404 | 405))
}

fn last_part(route: &'static str) -> &'static str {
    route.rsplit('/').next().unwrap_or(route)
}
