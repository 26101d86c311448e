//! Variables of earlier versions, and others that nothing reads.

use clap::CommandFactory as _;
use runpod_sdk::settings::{OwnVariables, UnreadVariable};

use super::Settings;

/// Variables that no longer exist, and what to use or to know in place of each.
pub(super) const REMOVED: &[(&str, &str)] = &[
    (
        "SD_WORKER_ANSWER_IDLE_TIMEOUT",
        "an answer that stands still for 60 s is lost, always",
    ),
    (
        "SD_WORKER_INTERRUPT_PATIENCE",
        "a render has 30 s to stop, always",
    ),
    (
        "SD_WORKER_JPEG_QUALITY",
        "set worker.quality in the job; the default is 90",
    ),
    (
        "SD_WORKER_LOOK_AFTER",
        "the end of each render that took 50 ms or more is looked at",
    ),
    (
        "SD_WORKER_NO_COMPAT",
        "only sampler names that the WebUI would refuse are split",
    ),
    (
        "SD_WORKER_NO_SETTINGS_GUARD",
        "set override_settings_restore_afterwards to false in a job whose settings are to stay",
    ),
    (
        "SD_WORKER_PREVIEW_LIMIT",
        "previews of more than 200 kB are left out",
    ),
    ("SD_WORKER_PROBE_INTERVAL", "readiness is probed every 0.2 s"),
    (
        "SD_WORKER_PROBE_TIMEOUT",
        "one readiness probe has 2 minutes; SD_WORKER_READY_TIMEOUT limits them all",
    ),
    (
        "SD_WORKER_RECOVER_SAVED",
        "send a lost job again; saved pictures are not collected any more",
    ),
    (
        "SD_WORKER_RETRY_WAIT",
        "the first wait is 0.1 s; SD_WORKER_RETRIES says how many there are",
    ),
    ("SD_WORKER_WEBUI_POOL_IDLE", "idle connections are kept for 20 s"),
    (
        "SD_WORKER_WEBUI_RESTARTS",
        "the WebUI is started again 3 times within 10 minutes",
    ),
    (
        "SD_WORKER_WEBUI_RESTART_WINDOW",
        "the WebUI is started again 3 times within 10 minutes",
    ),
    ("SD_WORKER_WEBUI_STOP_GRACE", "the WebUI has 5 s to end"),
];

/// What to use in place of a variable that no longer exists.
pub(crate) fn removed(variable: &str) -> Option<&'static str> {
    let found = REMOVED.iter().find(|(name, _)| *name == variable);
    found.map(|(_, instead)| *instead)
}

/// The variables among `set` whose names begin with `SD_WORKER_` and that nothing reads.
pub(crate) fn unread(set: impl IntoIterator<Item = String>) -> Vec<UnreadVariable> {
    let command = Settings::command();
    let read = command.get_arguments().filter_map(clap::Arg::get_env);
    let known: Vec<&str> = read.filter_map(|name| name.to_str()).collect();
    let own = OwnVariables {
        prefix: "SD_WORKER_",
        known: &known,
        removed: REMOVED,
    };
    own.unread_among(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_no_option() {
        let command = Settings::command();
        for (name, instead) in REMOVED {
            let is_option = |variable: &str| {
                let mut known = command.get_arguments().filter_map(clap::Arg::get_env);
                known.any(|known| known == variable)
            };
            assert!(!is_option(name), "{name}");
            for word in instead.split(|other: char| !other.is_ascii_uppercase() && other != '_') {
                assert!(
                    !word.starts_with("SD_WORKER_") || is_option(word),
                    "{name}: {word}"
                );
            }
        }
    }

    #[test]
    fn a_variable_that_nothing_reads_is_found_with_what_to_use() {
        let set = [
            "SD_WORKER_RETRY_WAIT",
            "SD_WORKER_WEB_UI_URL",
            "SD_WORKER_RETRIES",
            "RUNPOD_WORKER_RETRIES",
        ];
        let found = unread(set.map(str::to_owned));
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "SD_WORKER_RETRY_WAIT is set, and has no effect: the first wait is 0.1 s; \
                 SD_WORKER_RETRIES says how many there are",
                "SD_WORKER_WEB_UI_URL is set, and has no effect: did you mean SD_WORKER_WEBUI_URL?",
            ]
        );
        assert_eq!(removed("SD_WORKER_RETRIES"), None);
    }
}
