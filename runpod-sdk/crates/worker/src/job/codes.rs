//! The table of the SDK's error codes. The constants, [`ErrorCode::ALL`] and `docs/errors.md` come from it.
//!
//! To add a code, add a row. A row without one of its parts does not compile, and a test says how to bring the page
//! up to date.

use super::ErrorClass::{self, Backend, Platform, User, Worker};
use super::ErrorCode;

/// One of the SDK's [error codes](ErrorCode::ALL) with its class, meaning and hint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownCode {
    /// The code.
    pub code: ErrorCode,
    /// The usual class; `meaning` names the exceptions.
    pub class: ErrorClass,
    /// Whether the same request usually may succeed when sent again; `meaning` names the exceptions.
    pub retryable: bool,
    /// What happened.
    pub meaning: &'static str,
    /// What to do about it.
    pub hint: &'static str,
}

macro_rules! error_codes {
    ($($code:ident {
        class: $class:ident,
        retryable: $retryable:literal,
        meaning: $meaning:literal,
        hint: $hint:literal,
    })*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("Class ", stringify!($class), ", retryable: ", stringify!($retryable), ". What happened: ", $meaning, ".")]
                pub const $code: Self = Self::new(stringify!($code));
            )*

            /// All codes that the SDK itself uses, with those of optional features. A worker may define more.
            pub const ALL: &'static [KnownCode] = &[$(KnownCode {
                code: ErrorCode::$code,
                class: $class,
                retryable: $retryable,
                meaning: $meaning,
                hint: $hint,
            }),*];
        }
    };
}

error_codes! {
    INVALID_INPUT {
        class: User,
        retryable: false,
        meaning: "the input is not what the handler takes",
        hint: "change the request: the message names the field",
    }
    TIMEOUT {
        class: User,
        retryable: false,
        meaning: "the job ran longer than it may: than its `policy.executionTimeout`, or the worker's own limit",
        hint: "ask for less in one job, or allow more time",
    }
    HANDLER_ERROR {
        class: Worker,
        retryable: false,
        meaning: "the handler returned an error that has no code of its own",
        hint: "read the message and the traceback",
    }
    PANIC {
        class: Worker,
        retryable: false,
        meaning: "the handler panicked; the worker goes on",
        hint: "this is a bug of the worker: report message and traceback to its author",
    }
    OUTPUT_NOT_JSON {
        class: Worker,
        retryable: false,
        meaning: "the handler's value cannot be written as JSON",
        hint: "this is a bug of the worker: map keys must be text, for one",
    }
    CHUNK_TOO_LARGE {
        class: Worker,
        retryable: false,
        meaning: "the handler streamed a value above 1 MB that is no text, which the platform does not take",
        hint: "stream it in pieces, or upload it and stream a URL",
    }
    POISON_JOB {
        class: Worker,
        retryable: false,
        meaning: "the worker's process died too often while this job ran, so it is not run again; only with a journal",
        hint: "look at the worker's log of the times in the message; most often the job needs more memory than there is, \
             or crashes a native library",
    }
    WORKER_STOPPED {
        class: Platform,
        retryable: true,
        meaning: "the worker shut down while the job ran, and is set to report this instead of leaving the job for \
             another worker",
        hint: "send the job again",
    }
    RESULT_REFUSED {
        class: Platform,
        retryable: false,
        meaning: "the platform refused the result, most often because it is too large",
        hint: "make the output smaller, or upload it and return a URL",
    }
    RESULT_TOO_LARGE {
        class: Worker,
        retryable: false,
        meaning: "the result is larger than `RUNPOD_WORKER_LARGEST_RESULT` allows, and was not sent",
        hint: "make the output smaller, or upload it and return a URL",
    }
    UPLOAD_NOT_CONFIGURED {
        class: Worker,
        retryable: false,
        meaning: "no storage is configured, or not well; class `user` where the job's `s3Config` is at fault",
        hint: "send an `s3Config` with the job, or set the `BUCKET_…` variables on the endpoint",
    }
    UPLOAD_REFUSED {
        class: Worker,
        retryable: false,
        meaning: "the storage refused: credentials, permissions, or no such bucket; class `user` where they are those of \
             the job's `s3Config`",
        hint: "check the credentials and what they may do, and that the bucket exists",
    }
    UPLOAD_FAILED {
        class: Backend,
        retryable: true,
        meaning: "the storage could not be reached or did not manage, at the last try too; class `worker` and not \
             retryable where a file of the worker could not be read",
        hint: "send the job again later; check the storage",
    }
    DOWNLOAD_BLOCKED {
        class: User,
        retryable: false,
        meaning: "a URL of the job must not be fetched: it leads to an inner address, or is neither `http` nor `https`; \
             class `worker` where the worker's own proxy is the reason",
        hint: "use a public https URL",
    }
    DOWNLOAD_FAILED {
        class: Backend,
        retryable: true,
        meaning: "a URL of the job gave no file; class `user` and not retryable where its server said 4xx",
        hint: "check that the URL is right and has not expired",
    }
    DOWNLOAD_TOO_LARGE {
        class: User,
        retryable: false,
        meaning: "the file behind a URL of the job is larger than it may be",
        hint: "use a smaller file, or raise the worker's limit",
    }
    DOWNLOAD_NOT_STORED {
        class: Worker,
        retryable: false,
        meaning: "a file came but could not be written to the worker's disk",
        hint: "see that the worker's disk has space and may be written",
    }
    ARCHIVE_REFUSED {
        class: User,
        retryable: false,
        meaning: "an archive of the job is broken, unpacks to more than it may, or names files outside of its folder",
        hint: "send a smaller or a plain archive",
    }
    NOT_FOUND {
        class: User,
        retryable: false,
        meaning: "the worker answers requests itself (feature `http-modes`), and has nothing at this path",
        hint: "send the request to one of the paths in the message",
    }
    FORBIDDEN {
        class: User,
        retryable: false,
        meaning: "the worker answers requests on this machine's loopback (feature `http-modes`), and this one was sent to \
             another name or by a web page of another site",
        hint: "send the request to 127.0.0.1 or localhost, and not from a web page",
    }
    METHOD_NOT_ALLOWED {
        class: User,
        retryable: false,
        meaning: "the path takes another method (feature `http-modes`)",
        hint: "use the method in the answer's `Allow`",
    }
    REQUEST_TOO_LARGE {
        class: User,
        retryable: false,
        meaning: "the request's body is larger than the worker takes (feature `http-modes`)",
        hint: "send less, or a URL in its place",
    }
    REQUEST_TIMEOUT {
        class: User,
        retryable: true,
        meaning: "the request's body did not arrive in time (feature `http-modes`)",
        hint: "send the request again, over a faster connection",
    }
    WORKER_STARTING {
        class: Platform,
        retryable: true,
        meaning: "the worker is still starting (feature `http-modes`)",
        hint: "send the request again in a moment",
    }
    WORKER_BUSY {
        class: Platform,
        retryable: true,
        meaning: "every slot of the worker is taken, and enough requests wait (feature `http-modes`)",
        hint: "send the request again in a moment, or run more workers",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    #[test]
    fn no_code_is_listed_twice() {
        for (at, known) in ErrorCode::ALL.iter().enumerate() {
            assert!(
                ErrorCode::ALL[..at].iter().all(|other| other.code != known.code),
                "{}",
                known.code
            );
        }
    }

    #[test]
    fn the_page_shows_the_list() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/errors.md");
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
