//! Checks whether the WebUI can render different jobs in one batch.

use super::finding::Finding;
use crate::webui::WebUi;

/// Looks for the worker's extension. Its absence is a warning where batches are asked for, and else not mentioned.
pub(super) async fn look(webui: &WebUi, batch_limit: u32) -> Option<Finding> {
    let is_on = batch_limit > 1;
    let found = match webui.batch_script().await {
        Ok(found) => found,
        Err(error) if is_on => {
            return Some(Finding::warning(
                format!("it does not list its scripts, so each job is rendered alone: {error}"),
                "look at its log",
            ));
        }
        Err(_) => return None,
    };
    match found {
        Ok(()) if is_on => Some(Finding::good(format!(
            "it renders up to {batch_limit} different jobs in one batch"
        ))),
        Ok(()) => Some(Finding::note(
            "it can render different jobs in one batch; SD_WORKER_BATCH_LIMIT turns that on",
        )),
        Err(why) if is_on => Some(Finding::warning(
            format!("each job is rendered alone: {why}"),
            "mend it, or leave out SD_WORKER_BATCH_LIMIT",
        )),
        Err(_) => None,
    }
}
