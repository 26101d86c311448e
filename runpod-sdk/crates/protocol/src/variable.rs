//! The environment variables that RunPod sets for a worker, and those that its clients read
//! (`docs/protocol/worker-protocol.md` §2 and §3).

/// The text of a variable in the environment of this process.
///
/// A blank variable counts as unset: templates of endpoints and compose files set variables to nothing.
pub fn from_environment(name: &str) -> Option<String> {
    unless_blank(std::env::var(name).ok())
}

/// The text, unless it is blank.
pub fn unless_blank(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// The URL template of takes.
pub const TAKE_URL: &str = "RUNPOD_WEBHOOK_GET_JOB";
/// The URL template of results and progress updates.
pub const DONE_URL: &str = "RUNPOD_WEBHOOK_POST_OUTPUT";
/// The URL template of chunks.
pub const STREAM_URL: &str = "RUNPOD_WEBHOOK_POST_STREAM";
/// The URL template of heartbeats.
pub const PING_URL: &str = "RUNPOD_WEBHOOK_PING";
/// Milliseconds between heartbeats.
pub const PING_INTERVAL: &str = "RUNPOD_PING_INTERVAL";
/// The key that a worker sends.
pub const WORKER_KEY: &str = "RUNPOD_AI_API_KEY";
/// The worker's id.
pub const WORKER_ID: &str = "RUNPOD_POD_ID";
/// The id of the worker's endpoint.
pub const ENDPOINT_ID: &str = "RUNPOD_ENDPOINT_ID";

/// The key that a client sends.
pub const CLIENT_KEY: &str = "RUNPOD_API_KEY";
/// The URL before the endpoint's id, for a client.
pub const CLIENT_BASE_URL: &str = "RUNPOD_ENDPOINT_BASE_URL";

#[cfg(test)]
mod tests {
    use super::unless_blank;

    #[test]
    fn a_blank_variable_counts_as_unset_and_another_is_left_as_it_is() {
        for blank in ["", " ", "\t\r\n "] {
            assert_eq!(unless_blank(Some(blank.to_owned())), None);
        }
        assert_eq!(unless_blank(None), None);
        assert_eq!(unless_blank(Some(" a b ".to_owned())).as_deref(), Some(" a b "));
    }
}
