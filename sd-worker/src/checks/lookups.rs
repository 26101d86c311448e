//! The lookups of one request in the WebUI's lists. They note which lists could not be had.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use super::catalogue::{Catalogue, Seen, Unavailable};
use super::finding::Finding;
use super::list::{List, ListEntry, Named};
use super::reported::ReportedParameters;
use super::script_info::Script;
use crate::nearest::nearest;
use crate::webui::ServerKind;

/// The lookups of one request.
#[derive(Debug)]
pub(super) struct Lookups<'a> {
    catalogue: &'a Catalogue,
    missed: Mutex<BTreeSet<&'static str>>,
}

impl<'a> Lookups<'a> {
    pub(super) fn new(catalogue: &'a Catalogue) -> Self {
        Self {
            catalogue,
            missed: Mutex::default(),
        }
    }

    /// The lists that could not be had, by name.
    pub(super) fn missed(self) -> BTreeSet<&'static str> {
        self.missed.into_inner()
    }

    fn note<T>(&self, had: Result<Option<T>, Unavailable>) -> Option<T> {
        had.unwrap_or_else(|Unavailable(name)| {
            self.missed.lock().insert(name);
            None
        })
    }

    /// A finding if a name is missing. The list is fetched again before, because a file may have been added since.
    /// `None` also if there is no list.
    pub(super) async fn look_up(&self, named: Named) -> Option<Finding> {
        let Named { field, name, list } = named;
        for fresh in [false, true] {
            let entries = self.list(list, fresh).await?;
            if entries.iter().any(|entry| list.has(entry, &name)) || self.is_taken_anyhow(list, &name).await {
                return None;
            }
            if fresh {
                return Some(Finding::unknown(
                    field,
                    list.kind(),
                    &name,
                    meant(list, &name, &entries),
                ));
            }
        }
        None
    }

    /// Whether the WebUI takes a name that is not in its list.
    async fn is_taken_anyhow(&self, list: List, name: &str) -> bool {
        match list {
            List::Samplers => self.is_split(name).await,
            // SD.Next takes any part of a title there, too.
            List::OverrideCheckpoints if self.is_sd_next().await => self
                .list(List::Checkpoints, false)
                .await
                .is_some_and(|entries| entries.iter().any(|entry| List::Checkpoints.has(entry, name))),
            _ => false,
        }
    }

    /// Whether the WebUI splits the name itself, such as "DPM++ 2M Karras": 1.10 and later do, by label, name and alias of
    /// a scheduler.
    async fn is_split(&self, name: &str) -> bool {
        if self.is_sd_next().await {
            return false;
        }
        let Some(schedulers) = self.list(List::Schedulers, false).await else {
            return false;
        };
        let Some(samplers) = self.list(List::Samplers, false).await else {
            return false;
        };
        // The first ending in the list's order counts: "Euler SGM Uniform" ends in "Uniform".
        let sampler = schedulers.iter().flat_map(ListEntry::endings).find_map(|ending| {
            let sampler = name.strip_suffix(ending)?;
            sampler.strip_suffix(' ')
        });
        schedulers.iter().any(|entry| entry.is("align_your_steps"))
            && sampler.is_some_and(|name| samplers.iter().any(|sampler| sampler.is(name)))
    }

    /// The entry that the WebUI uses for a name: of several checkpoints with that part in their titles the one with the
    /// shortest title.
    pub(super) async fn find(&self, list: List, name: &str) -> Option<ListEntry> {
        let entries = self.list(list, false).await?;
        let exact = entries.iter().find(|entry| entry.is(name));
        let fitting = entries.iter().filter(|entry| list.has(entry, name));
        exact
            .or_else(|| fitting.min_by_key(|entry| entry.title().len()))
            .cloned()
    }

    /// Whether a name, a label or an alias, and a label are those of the same scheduler.
    pub(super) async fn is_same_schedule(&self, asked: &str, got: &str) -> bool {
        let schedulers = self.list(List::Schedulers, false).await;
        let mut schedulers = schedulers.iter().flat_map(|entries| entries.iter());
        schedulers.any(|entry| entry.endings().any(|name| name == asked) && entry.is(got))
    }

    /// A list as it was last fetched. `fresh` fetches it again.
    pub(super) async fn list(&self, list: List, fresh: bool) -> Seen {
        self.note(self.catalogue.list(list, fresh).await)
    }

    /// A list for which there is a substitute, so that it is not missed.
    pub(super) async fn list_if_any(&self, list: List) -> Seen {
        self.catalogue.list(list, false).await.ok().flatten()
    }

    /// The scripts with their arguments; `None` if this WebUI does not list them.
    pub(super) async fn scripts(&self) -> Option<Arc<Vec<Script>>> {
        self.note(self.catalogue.scripts().await)
    }

    /// Whether the server is SD.Next.
    pub(super) async fn is_sd_next(&self) -> bool {
        self.catalogue.server().await == Some(ServerKind::SdNext)
    }

    /// Whether every `LoRA` that is applied has its hash in the infotext: not with `--no-hashing`, and not with
    /// `lora_add_hashes_to_infotext` off.
    pub(super) async fn reports_loras(&self, reported: &ReportedParameters) -> bool {
        let hashes = match self.catalogue.flags().await {
            Some(flags) => flags["no_hashing"] != true,
            None => reported.entry("Model hash").is_some(),
        };
        hashes
            && self
                .note(self.catalogue.options().await)
                .is_some_and(|options: Value| options["lora_add_hashes_to_infotext"] != false)
    }
}

/// The name that was meant: the title with that part, or else the nearest.
fn meant(list: List, name: &str, entries: &[ListEntry]) -> Option<String> {
    if list == List::OverrideCheckpoints {
        let containing = entries
            .iter()
            .map(ListEntry::title)
            .filter(|title| title.contains(name));
        if let Some(title) = containing.min_by_key(|title| title.len()) {
            return Some(title.to_owned());
        }
    }
    nearest(
        name,
        entries.iter().flat_map(ListEntry::names).map(String::as_str),
    )
}
