//! Names the server, and what of the worker works with it: the table of `docs/webui-servers.md`.

use serde_json::Value;

use super::finding::Finding;
use crate::code::Explain as _;
use crate::webui::{ServerKind, WebUi};

/// The servers of the table.
const SERVERS: [(ServerKind, &str); 4] = [
    (ServerKind::V1_9, "A1111 1.9"),
    (ServerKind::V1_10, "A1111 1.10"),
    (ServerKind::Forge, "Forge"),
    (ServerKind::SdNext, "SD.Next"),
];

/// What works with each of them, in their order. A cell that begins with "yes" works.
const TABLE: [(&str, [&str; 4]); 9] = [
    (
        "plain",
        [
            "yes: \"DPM++ 2M Karras\" is split into sampler and scheduler",
            "yes",
            "yes",
            "yes: \"DPM++ 2M Karras\" is split into sampler and `schedulers_sigma`",
        ],
    ),
    ("img2img", ["yes"; 4]),
    (
        "hires",
        [
            "yes",
            "yes",
            "yes: `hr_additional_modules` is added",
            "yes: it does not report the second pass, so that is not checked",
        ],
    ),
    ("several pictures", ["yes"; 4]),
    ("streams", ["yes"; 4]),
    (
        "checks",
        [
            "yes",
            "yes",
            "yes: modules and preset, too",
            "yes: before the render all, after it what it reports",
        ],
    ),
    (
        "mending",
        [
            "yes",
            "yes",
            "yes: versions before 28 October 2024 give no reason for a failure, so it is read in the log of one that the worker started",
            "partly: a failed render has no reason, so only a death or a stall is seen",
        ],
    ),
    (
        "settings guard",
        [
            "yes",
            "yes",
            "yes: what has stayed is set back after the render",
            "yes: it restores settings itself",
        ],
    ),
    (
        "batches",
        [
            "yes: with the worker's extension; own prompts of the second pass stay alone",
            "yes: with the worker's extension",
            "yes: with the worker's extension",
            "no: its pictures were not compared",
        ],
    ),
];

/// The server and its version, and what works with it. `has_reasons` says whether its failures
/// have reasons, if one was seen.
pub(super) async fn look(webui: &WebUi, has_reasons: Option<bool>) -> Vec<Finding> {
    let kind = match webui.server_kind().await {
        Ok(kind) => kind,
        Err(error) => {
            let hint = error.hint().unwrap_or("look at its log".into()).into_owned();
            return vec![Finding::warning(
                format!("which server it is, is not known: {error}"),
                hint,
            )];
        }
    };
    let named = match kind {
        ServerKind::UpTo1_8 => "AUTOMATIC1111, version 1.8 or earlier: it has no schedulers".to_owned(),
        ServerKind::V1_9 => {
            "AUTOMATIC1111, version 1.9: sampler names such as \"DPM++ 2M Karras\" are split for it"
                .to_owned()
        }
        ServerKind::V1_10 => "AUTOMATIC1111, version 1.10 or later".to_owned(),
        ServerKind::Forge => match has_reasons {
            Some(true) => "Forge, from 28 October 2024 or later",
            Some(false) => "Forge, from before 28 October 2024: it gives no reasons for its failures",
            None => "Forge",
        }
        .to_owned(),
        ServerKind::SdNext => format!("SD.Next{}", version_of_sd_next(webui).await),
    };
    let named = format!("it looks like {named}");
    let mut findings = vec![match kind {
        ServerKind::V1_10 | ServerKind::Forge => Finding::good(named),
        _ => Finding::note(named),
    }];
    findings.extend(what_works(kind));
    findings
}

/// What works, as one finding.
fn what_works(kind: ServerKind) -> Option<Finding> {
    let column = SERVERS.iter().position(|(known, _)| *known == kind)?;
    let cells = || TABLE.iter().map(|(what, cells)| (*what, cells[column]));
    let named = |start: &str| {
        let cells = cells().filter(|(_, cell)| cell.starts_with(start));
        cells.map(|(what, _)| what).collect::<Vec<_>>().join(", ")
    };
    let parts = [("with it work", "yes"), ("partly", "partly"), ("not", "no")];
    let parts = parts.map(|(word, start)| (word, named(start)));
    let parts = parts.into_iter().filter(|(_, those)| !those.is_empty());
    let parts: Vec<String> = parts.map(|(word, those)| format!("{word}: {those}")).collect();
    Some(Finding::note(format!(
        "{} (docs/webui-servers.md)",
        parts.join("; ")
    )))
}

/// Recent versions of SD.Next have a route for it.
async fn version_of_sd_next(webui: &WebUi) -> String {
    let version = webui.list::<Value>("/sdapi/v1/version").await.unwrap_or_default();
    let parts = ["updated", "hash"].map(|key| version[key].as_str().unwrap_or_default().to_owned());
    let known: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if known.is_empty() {
        String::new()
    } else {
        format!(", version {}", known.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages;

    #[test]
    fn the_page_has_the_table() {
        let names: Vec<&str> = SERVERS.iter().map(|(_, name)| *name).collect();
        let head = format!("| | {} |\n|---|---|---|---|---|\n", names.join(" | "));
        let rows = TABLE
            .iter()
            .map(|(what, cells)| format!("| {what} | {} |\n", cells.join(" | ")));
        pages::assert_list("webui-servers.md", &(head + &rows.collect::<String>()));
    }
}
