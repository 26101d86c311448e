//! The closed list of this crate's error codes, for programs and for `docs/errors.md`.

use super::{ErrorClass, ErrorCode};

/// What is known of one of this crate's [error codes](ErrorCode::ALL).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownCode {
    /// The code.
    pub code: ErrorCode,
    /// Whose mistake it usually is; `meaning` names the exceptions.
    pub class: ErrorClass,
    /// Whether the same request usually may succeed when sent again; `meaning` names the exceptions.
    pub retryable: bool,
    /// What happened.
    pub meaning: &'static str,
    /// What to do about it.
    pub hint: &'static str,
}

const fn known(
    code: &'static str,
    class: ErrorClass,
    retryable: bool,
    meaning: &'static str,
    hint: &'static str,
) -> KnownCode {
    KnownCode {
        code: ErrorCode::new(code),
        class,
        retryable,
        meaning,
        hint,
    }
}

use ErrorClass::{Backend, Platform, User, Worker};

impl ErrorCode {
    /// All codes that this crate itself uses, those of optional features included. A worker may have
    /// more of its own.
    pub const ALL: &'static [KnownCode] = &[
        known(
            "INVALID_INPUT",
            User,
            false,
            "the input is not what the handler takes",
            "change the request: the message names the field",
        ),
        known(
            "TIMEOUT",
            User,
            false,
            "the job ran longer than it may: than its `policy.executionTimeout`, or the worker's own limit",
            "ask for less in one job, or allow more time",
        ),
        known(
            "HANDLER_ERROR",
            Worker,
            false,
            "the handler returned an error that has no code of its own",
            "read the message and the traceback",
        ),
        known(
            "PANIC",
            Worker,
            false,
            "the handler panicked; the worker goes on",
            "this is a bug of the worker: report message and traceback to its author",
        ),
        known(
            "OUTPUT_NOT_JSON",
            Worker,
            false,
            "the handler's value cannot be written as JSON",
            "this is a bug of the worker: map keys must be text, for one",
        ),
        known(
            "CHUNK_TOO_LARGE",
            Worker,
            false,
            "the handler streamed a value above 1 MB that is no text, which the platform does not take",
            "stream it in pieces, or upload it and stream a URL",
        ),
        known(
            "POISON_JOB",
            Worker,
            false,
            "the worker's process died too often while this job ran, so it is not run again; only with a journal",
            "look at the worker's log of the times in the message; most often the job needs more memory than there is, \
             or crashes a native library",
        ),
        known(
            "WORKER_STOPPED",
            Platform,
            true,
            "the worker had to go while the job ran, and was told to report that instead of leaving the job for \
             another worker",
            "send the job again",
        ),
        known(
            "RESULT_REFUSED",
            Platform,
            false,
            "the platform refused the result, most often because it is too large",
            "make the output smaller, or upload it and return a URL",
        ),
        known(
            "RESULT_TOO_LARGE",
            Worker,
            false,
            "the result is larger than `RUNPOD_WORKER_LARGEST_RESULT` allows, and was not sent",
            "make the output smaller, or upload it and return a URL",
        ),
        known(
            "UPLOAD_NOT_CONFIGURED",
            Worker,
            false,
            "no storage is configured, or not well; class `user` where the job's `s3Config` is at fault",
            "send an `s3Config` with the job, or set the `BUCKET_…` variables on the endpoint",
        ),
        known(
            "UPLOAD_REFUSED",
            Worker,
            false,
            "the storage refused: credentials, permissions, or no such bucket; class `user` where they are those of \
             the job's `s3Config`",
            "check the credentials and what they may do, and that the bucket exists",
        ),
        known(
            "UPLOAD_FAILED",
            Backend,
            true,
            "the storage could not be reached or did not manage, at the last try too; class `worker` and not \
             retryable where a file of the worker could not be read",
            "send the job again later; check the storage",
        ),
        known(
            "DOWNLOAD_BLOCKED",
            User,
            false,
            "a URL of the job must not be fetched: it leads to an inner address, or is neither `http` nor `https`; \
             class `worker` where the worker's own proxy is the reason",
            "use a public https URL",
        ),
        known(
            "DOWNLOAD_FAILED",
            Backend,
            true,
            "a URL of the job gave no file; class `user` and not retryable where its server said 4xx",
            "check that the URL is right and has not expired",
        ),
        known(
            "DOWNLOAD_TOO_LARGE",
            User,
            false,
            "the file behind a URL of the job is larger than it may be",
            "use a smaller file, or raise the worker's limit",
        ),
        known(
            "DOWNLOAD_NOT_STORED",
            Worker,
            false,
            "a file came but could not be written to the worker's disk",
            "see that the worker's disk has space and may be written",
        ),
        known(
            "ARCHIVE_REFUSED",
            User,
            false,
            "an archive of the job is broken, unpacks to more than it may, or names files outside of its folder",
            "send a smaller or a plain archive",
        ),
        known(
            "NOT_FOUND",
            User,
            false,
            "the worker answers requests itself (feature `http-modes`), and has nothing at this path",
            "send the request to one of the paths in the message",
        ),
        known(
            "METHOD_NOT_ALLOWED",
            User,
            false,
            "the path takes another method (feature `http-modes`)",
            "use the method in the answer's `Allow`",
        ),
        known(
            "REQUEST_TOO_LARGE",
            User,
            false,
            "the request's body is larger than the worker takes (feature `http-modes`)",
            "send less, or a URL in its place, or raise `RUNPOD_WORKER_HTTP_BODY_LIMIT`",
        ),
        known(
            "REQUEST_TIMEOUT",
            User,
            true,
            "the request's body did not arrive in time (feature `http-modes`)",
            "send the request again, over a faster connection",
        ),
        known(
            "WORKER_STARTING",
            Platform,
            true,
            "the worker is still starting (feature `http-modes`)",
            "send the request again in a moment",
        ),
        known(
            "WORKER_BUSY",
            Platform,
            true,
            "every slot of the worker is taken, and enough requests wait (feature `http-modes`)",
            "send the request again in a moment, or run more workers",
        ),
    ];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Every Rust file below `folder`.
    fn sources(folder: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.extend(sources(&path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
        files
    }

    /// The codes for which there are constants, those of features that are off included.
    fn constants() -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            for line in std::fs::read_to_string(file).unwrap().lines() {
                let Some(rest) = line.trim_start().strip_prefix("pub const ") else {
                    continue;
                };
                if let Some((name, value)) = rest.split_once(": Self = Self::new(\"") {
                    assert_eq!(format!("{name}\");"), value, "the constant is named as the code");
                    found.insert(name.to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn the_list_has_exactly_the_codes_for_which_there_are_constants() {
        let listed: BTreeSet<String> = ErrorCode::ALL
            .iter()
            .map(|known| known.code.to_string())
            .collect();
        assert_eq!(listed, constants());
        assert_eq!(listed.len(), ErrorCode::ALL.len(), "none is listed twice");
    }

    #[test]
    fn the_page_shows_the_list() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
        let text = std::fs::read_to_string(&page).unwrap();
        let (head, rest) = text.split_once("<!-- list -->\n").unwrap();
        let (_, tail) = rest.split_once("<!-- end of list -->\n").unwrap();
        let mut table = String::from(
            "| code | class | retryable | what happened | what to do |\n|---|---|---|---|---|\n",
        );
        for known in ErrorCode::ALL {
            let class = serde_json::to_value(known.class).unwrap();
            writeln!(
                table,
                "| `{}` | {} | {} | {} | {} |",
                known.code,
                class.as_str().unwrap(),
                if known.retryable { "yes" } else { "no" },
                known.meaning,
                known.hint
            )
            .unwrap();
        }
        let wanted = format!("{head}<!-- list -->\n{table}<!-- end of list -->\n{tail}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&page, &wanted).unwrap();
        } else {
            assert_eq!(text, wanted, "run this test with UPDATE_DOCS=1");
        }
    }
}
