//! The codes of failed jobs: one table, which `docs/sd-worker-errors.md` repeats for readers.

use runpod_sdk::{ErrorClass, ErrorCode};

/// One line each: its text, whose mistake, whether the same request may succeed when sent again, and what
/// the page says of it.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $class:ident, $again:literal, $meaning:literal;)*) => {
        /// What went wrong, for programs to compare.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All codes in the page's order, with what it says.
            #[cfg(test)]
            const MEANINGS: &[(Self, &str)] = &[$((Self::$name, $meaning),)*];

            pub(crate) const fn code(self) -> ErrorCode {
                match self {
                    $(Self::$name => ErrorCode::new($code),)*
                }
            }

            pub(crate) const fn class(self) -> ErrorClass {
                match self {
                    $(Self::$name => ErrorClass::$class,)*
                }
            }

            pub(crate) const fn is_retryable(self) -> bool {
                match self {
                    $(Self::$name => $again,)*
                }
            }
        }
    };
}

codes! {
    InvalidInput = "INVALID_INPUT", User, false, "the input is not what the worker takes; nothing was sent";
    RouteRefused = "ROUTE_REFUSED", User, false, "the worker does not pass requests to that route; nothing was sent";
    InvalidParameters = "INVALID_PARAMETERS", User, false, "the WebUI refused the parameters; the message names each field";
    InvalidPicture = "INVALID_PICTURE", User, false, "the WebUI cannot read a picture of the request";
    /// Found before the render: the request names what this WebUI does not have.
    NotThere = "NOT_APPLIED", User, false, "with `--checks strict`: the request names what this WebUI does not have; nothing was rendered";
    /// Found after the render: the picture is not what was asked for.
    NotApplied = "NOT_APPLIED", Backend, false, "with `--checks strict`: the WebUI rendered something else than was asked for";
    GenerationTimeout = "GENERATION_TIMEOUT", User, false, "one attempt took longer than `--attempt-timeout`; the message says how far it came";
    OutOfMemory = "GPU_OUT_OF_MEMORY", Backend, false, "picture or batch are too large for the GPU";
    GpuFailed = "GPU_FAILED", Backend, true, "a CUDA error after which the WebUI must be restarted";
    NanPicture = "NAN_PICTURE", Backend, false, "the model computed no numbers (NaN): model, VAE and precision do not go together";
    DiskFull = "BACKEND_DISK_FULL", Backend, true, "the WebUI could not write: its disk is full";
    Unavailable = "BACKEND_UNAVAILABLE", Backend, true, "no connection, or 429, 502, 503, 504, all retries included";
    Lost = "BACKEND_LOST", Backend, true, "the connection broke after the request had been sent, or the answer stood still in its middle";
    Stalled = "BACKEND_STALLED", Backend, true, "the render made no step for `--stall-after`, and was interrupted";
    InterruptedElsewhere = "INTERRUPTED_ELSEWHERE", Backend, true, "somebody else interrupted the render, skipped a picture, or stopped it before the last picture; what the WebUI answered is not whole";
    BadAnswer = "BACKEND_BAD_ANSWER", Backend, true, "the WebUI answered 200 with something that is not the JSON it should be";
    Misconfigured = "BACKEND_MISCONFIGURED", Backend, false, "wrong credentials, no such route, or no model";
    Failed = "BACKEND_ERROR", Backend, false, "any other failure of the WebUI";
    /// The job itself wished it.
    NoBucketForWish = "UPLOAD_NOT_CONFIGURED", User, false, "the job wishes an upload, and neither it nor the worker has a bucket; nothing was rendered";
    NoBucket = "UPLOAD_NOT_CONFIGURED", Worker, false, "with `--output upload`: there is no bucket; nothing was rendered";
    OutputTooLarge = "OUTPUT_TOO_LARGE", User, false, "with `--output auto` or a stream: the platform does not take so much, and nothing that is allowed makes it less";
    Interrupted = "INTERRUPTED", Platform, true, "the worker had to go; seen in logs only";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_code_and_no_other() {
        let page = include_str!("../../../docs/sd-worker-errors.md");
        let start = page.find("| code | class |").unwrap();
        let table: Vec<&str> = page[start..]
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        let expected: Vec<String> = Code::MEANINGS
            .iter()
            .map(|(code, meaning)| {
                let class = serde_json::to_value(code.class()).unwrap();
                let class = class.as_str().unwrap();
                let again = if code.is_retryable() { "yes" } else { "no" };
                format!("| `{}` | {class} | {again} | {meaning} |", code.code())
            })
            .collect();
        assert_eq!(table, expected);
    }

    #[test]
    fn the_sdk_s_own_codes_are_on_the_page_too() {
        let page = include_str!("../../../docs/sd-worker-errors.md");
        for code in [
            ErrorCode::TIMEOUT,
            ErrorCode::PANIC,
            ErrorCode::HANDLER_ERROR,
            ErrorCode::WORKER_STOPPED,
            ErrorCode::RESULT_REFUSED,
            ErrorCode::RESULT_TOO_LARGE,
            ErrorCode::OUTPUT_NOT_JSON,
            ErrorCode::DOWNLOAD_BLOCKED,
            ErrorCode::DOWNLOAD_FAILED,
            ErrorCode::DOWNLOAD_TOO_LARGE,
            ErrorCode::DOWNLOAD_NOT_STORED,
            ErrorCode::UPLOAD_REFUSED,
            ErrorCode::UPLOAD_FAILED,
        ] {
            assert!(page.contains(&format!("| `{code}` |")), "{code}");
        }
    }
}
