//! The WebUI's lists. They are kept, and fetched once more when a name is missing.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;
use tracing::debug;

use super::finding::Finding;
use super::list::{List, ListEntry};
use super::names::Named;
use super::scripts::Script;
use crate::nearest::nearest;
use crate::webui::WebUi;

/// A list as it was last fetched; `None` if this WebUI has no such list.
type Seen = Option<Arc<Vec<ListEntry>>>;

/// The lists of one WebUI, as they were last fetched.
#[derive(Debug)]
pub(super) struct Catalogue {
    webui: WebUi,
    seen: Mutex<HashMap<List, Seen>>,
    scripts: Mutex<Option<Arc<Vec<Script>>>>,
}

impl Catalogue {
    pub(super) fn new(webui: WebUi) -> Self {
        Self {
            webui,
            seen: Mutex::default(),
            scripts: Mutex::default(),
        }
    }

    /// A finding if a name is missing. The list is fetched again before, because a file may have been added since.
    /// `None` also if there is no list.
    pub(super) async fn look_up(&self, named: Named) -> Option<Finding> {
        let Named { field, name, list } = named;
        for fresh in [false, true] {
            let entries = self.list(list, fresh).await?;
            if entries.iter().any(|entry| list.has(entry, &name)) || self.is_split(list, &name).await {
                return None;
            }
            if fresh {
                let known = entries.iter().flat_map(ListEntry::names);
                let meant = nearest(&name, known.map(String::as_str));
                return Some(Finding::unknown(field, list.kind(), &name, meant));
            }
        }
        None
    }

    /// Whether the WebUI splits the name itself, such as "DPM++ 2M Karras": 1.10 and later do.
    async fn is_split(&self, list: List, name: &str) -> bool {
        if list != List::Samplers {
            return false;
        }
        let Some(schedulers) = self.list(List::Schedulers, false).await else {
            return false;
        };
        let Some(samplers) = self.list(List::Samplers, false).await else {
            return false;
        };
        schedulers.iter().any(|entry| entry.is("align_your_steps"))
            && schedulers.iter().flat_map(ListEntry::names).any(|ending| {
                name.strip_suffix(ending.as_str())
                    .and_then(|name| name.strip_suffix(' '))
                    .is_some_and(|name| samplers.iter().any(|sampler| sampler.is(name)))
            })
    }

    /// The entry that the WebUI uses for a name.
    pub(super) async fn find(&self, list: List, name: &str) -> Option<ListEntry> {
        let entries = self.list(list, false).await?;
        let exact = entries.iter().find(|entry| entry.is(name));
        exact
            .or_else(|| entries.iter().find(|entry| list.has(entry, name)))
            .cloned()
    }

    /// Whether the WebUI's settings leave `LoRA`s out of infotexts.
    pub(super) async fn hides_loras(&self) -> bool {
        let options: Result<Value, _> = self.webui.list("/sdapi/v1/options").await;
        options.is_ok_and(|options| options["lora_add_hashes_to_infotext"] == false)
    }

    /// The scripts with their arguments; `None` if this WebUI does not list them.
    pub(super) async fn scripts(&self) -> Option<Arc<Vec<Script>>> {
        let mut known = self.scripts.lock().await;
        if known.is_none() {
            match self.webui.list::<Vec<Script>>("/sdapi/v1/script-info").await {
                Ok(scripts) => *known = Some(Arc::new(scripts)),
                Err(error) => debug!(%error, "the arguments of scripts are not checked"),
            }
        }
        known.clone()
    }

    /// A list as it was last fetched. `fresh` fetches it again.
    pub(super) async fn list(&self, list: List, fresh: bool) -> Seen {
        let known = self.seen.lock().await.get(&list).cloned();
        match known {
            Some(seen) if !fresh => seen,
            _ => {
                let seen = self.ask(list).await?;
                let seen = seen.map(Arc::new);
                self.seen.lock().await.insert(list, seen.clone());
                seen
            }
        }
    }

    /// Fetches a list. The outer `None` means that the WebUI could not be asked now.
    async fn ask(&self, list: List) -> Option<Option<Vec<ListEntry>>> {
        let mut entries = Vec::new();
        let mut answered = false;
        for (route, read) in list.routes() {
            match self.webui.list::<Value>(route).await {
                Ok(answer) => {
                    answered = true;
                    entries.extend(
                        read(&answer)
                            .into_iter()
                            .filter(|entry| !entry.names().is_empty()),
                    );
                }
                // This version has no such list, or the extension is not installed.
                Err(error) if matches!(error.status(), Some(404 | 405)) => {}
                Err(error) => {
                    debug!(%error, route, "a list can't be had, so its names are not checked");
                    return None;
                }
            }
        }
        let is_known = !entries.is_empty() || (answered && list.may_be_empty());
        Some(is_known.then_some(entries))
    }
}
