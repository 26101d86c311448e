//! Finds the fields that the WebUI silently drops (`docs/protocol/webui-api.md` §0 and §3).

use super::finding::Finding;
use super::list::{List, ListEntry};
use super::lookups::Lookups;
use crate::request::{fields_of, meant};
use crate::splice::Object;
use crate::webui::{Call, JobKind};

/// The fields of a request to txt2img or img2img that have no effect.
pub(super) async fn dropped(call: &Call, request: &Object<'_>, lookups: &Lookups<'_>) -> Vec<Finding> {
    let list = match call.job_kind {
        JobKind::Txt2Img => List::TextFields,
        JobKind::Img2Img => List::PictureFields,
        JobKind::Extras | JobKind::Nothing => return Vec::new(),
    };
    let served = lookups.list_if_any(list).await;
    let known: Vec<&str> = match &served {
        Some(entries) => entries
            .iter()
            .flat_map(ListEntry::names)
            .map(String::as_str)
            .collect(),
        // A server that does not publish its fields.
        None => fields_of(call.job_kind).collect(),
    };
    let is_sd_next = lookups.is_sd_next().await;
    // SD.Next takes these whether its page lists them or not.
    let is_own = |key: &str| is_sd_next && key.starts_with("schedulers_");
    request
        .keys()
        .filter(|key| !known.contains(key) && !is_own(key))
        .map(|key| Finding::dropped(key, meant(key, known.iter().copied())))
        .collect()
}
