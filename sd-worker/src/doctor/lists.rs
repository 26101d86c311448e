//! Checks that the WebUI's lists and settings can be had. Names in a list that cannot are not checked.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde::de::IgnoredAny;

use super::finding::Finding;
use crate::webui::{ServerKind, WebUi};

/// The lists that checks and settings guard read.
const LISTS: [&str; 14] = [
    "embeddings",
    "face-restorers",
    "hypernetworks",
    "latent-upscale-modes",
    "loras",
    "options",
    "prompt-styles",
    "samplers",
    "schedulers",
    "script-info",
    "scripts",
    "sd-modules",
    "sd-vae",
    "upscalers",
];

pub(super) async fn look(webui: &WebUi) -> Vec<Finding> {
    let kind = webui.server_kind().await.ok();
    // SD.Next has no schedulers to list, and its route fails.
    let is_expected = |list: &str| kind == Some(ServerKind::SdNext) && list == "schedulers";
    let asked = LISTS
        .into_iter()
        .filter(|list| !is_expected(list))
        .map(|list| async move {
            let answer = webui.list::<IgnoredAny>(&format!("/sdapi/v1/{list}")).await;
            (list, answer.err())
        });
    let failed: BTreeMap<&str, String> = join_all(asked)
        .await
        .into_iter()
        .filter_map(|(list, error)| Some((list, error?)))
        .filter(|(_, error)| !matches!(error.status(), Some(404 | 405)))
        .map(|(list, error)| (list, error.to_string()))
        .collect();
    let mut findings = Vec::new();
    let lists: Vec<&str> = failed.keys().copied().filter(|list| *list != "options").collect();
    if let Some(first) = lists.first() {
        findings.push(Finding::warning(
            format!("not checked: {} ({})", lists.join(", "), failed[first]),
            "--checks does not look up names in them until the WebUI lists them; look at its log",
        ));
    }
    if let Some(error) = failed.get("options") {
        findings.push(Finding::warning(
            format!("its settings can't be read: not checked: options ({error})"),
            "what one job overrides may stay for the next; look at the WebUI's log",
        ));
    }
    findings
}
