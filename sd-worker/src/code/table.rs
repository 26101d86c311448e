//! The table of error codes.

use runpod_sdk::{ErrorClass, ErrorCode};

/// Declares the codes. A row has a code's text, the class of its mistakes, whether the same request may succeed when it
/// is sent again, when a job fails with it, and what the caller can do. The enum, what errors say, and the list in
/// `docs/sd-worker-errors.md` come from the rows; one that lacks a part does not compile.
macro_rules! codes {
    ($(
        $(#[$doc:meta])*
        $name:ident = $code:literal, $class:ident, retryable $again:literal,
            when $when:literal,
            hint $hint:tt;
    )*) => {
        /// What went wrong, for programs to compare.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All codes in the page's order, with the page's words for what happened.
            #[cfg(test)]
            const ALL: &[(Self, &str)] = &[$((Self::$name, $when),)*];

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

            /// What the caller can do, where no more is known than the code.
            pub(crate) const fn hint(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => hint!($hint),)*
                }
            }
        }
    };
}

macro_rules! hint {
    (none) => {
        None
    };
    ($text:literal) => {
        Some($text)
    };
}

codes! {
    InvalidInput = "INVALID_INPUT", User, retryable false,
        when "the input is not what the worker takes; nothing was sent",
        hint "send {\"input\": {\"prompt\": …}} with the fields of /sdapi/v1/txt2img";
    RouteRefused = "ROUTE_REFUSED", User, retryable false,
        when "the worker does not pass requests to that route; nothing was sent",
        hint "check the spelling; the worker's owner can allow the route with --allow-route";
    SettingRefused = "SETTING_REFUSED", User, retryable false,
        when "the request sets where the WebUI writes, or under which name, for later jobs as well; nothing was sent",
        hint "leave the setting out; the worker's owner can allow it with --allow-setting";
    InvalidParameters = "INVALID_PARAMETERS", User, retryable false,
        when "the WebUI refused the parameters; the message names each field",
        hint "change the request as the message says";
    InvalidPicture = "INVALID_PICTURE", User, retryable false,
        when "the WebUI cannot read a picture of the request",
        hint "send pictures as base64 of a PNG, JPEG or WebP file";
    /// Found before the render: the request names what this WebUI does not have.
    NotThere = "NOT_APPLIED", User, retryable false,
        when "with `--checks strict`: the request names what this WebUI does not have; nothing was rendered",
        hint "change the request as the message says, or send it with checks set to warn";
    /// Found after the render: the picture is not what was asked for.
    NotApplied = "NOT_APPLIED", Backend, retryable false,
        when "with `--checks strict`: the WebUI rendered something else than was asked for",
        hint "look at the WebUI's log; with checks set to warn the result is sent all the same";
    GenerationTimeout = "GENERATION_TIMEOUT", User, retryable false,
        when "one attempt took longer than `--attempt-timeout`; the message says how far it came",
        hint "ask for fewer steps, a smaller picture or a smaller batch";
    OutOfMemory = "GPU_OUT_OF_MEMORY", Backend, retryable false,
        when "picture or batch are too large for the GPU",
        hint "ask for a smaller picture or batch";
    GpuFailed = "GPU_FAILED", Backend, retryable true,
        when "a CUDA error after which the WebUI must be restarted",
        hint "send the job again; the WebUI of this worker has to be restarted";
    NanPicture = "NAN_PICTURE", Backend, retryable false,
        when "the model computed no numbers (NaN): model, VAE and precision do not go together",
        hint "take another VAE or sampler; or start the WebUI with --no-half-vae, or with --no-half";
    DiskFull = "BACKEND_DISK_FULL", Backend, retryable true,
        when "the WebUI could not write: its disk is full",
        hint "send the job again; free space on this worker's disk or volume";
    Unavailable = "BACKEND_UNAVAILABLE", Backend, retryable true,
        when "no connection, or 429, 502, 503, 504, all retries included; or another client's render kept the WebUI busy for `--attempt-timeout`",
        hint "send the job again; if it stays like this, look whether the WebUI runs";
    Lost = "BACKEND_LOST", Backend, retryable true,
        when "the connection broke after the request had been sent, the answer stood still in its middle, or a proxy gave up a render that had begun (502, 504)",
        hint "send the job again; what may have been rendered is not repeated by itself. The WebUI's log tells more";
    Stalled = "BACKEND_STALLED", Backend, retryable true,
        when "the render made no step for `--stall-after`, and was interrupted",
        hint "send the job again; --stall-after says how long a step may take";
    InterruptedElsewhere = "INTERRUPTED_ELSEWHERE", Backend, retryable true,
        when "another user of the WebUI interrupted the render, skipped a picture, or stopped it before the last picture; what the WebUI answered is not whole",
        hint "send the job again; find out who else uses this WebUI, its web page or its API";
    BadAnswer = "BACKEND_BAD_ANSWER", Backend, retryable true,
        when "the WebUI answered 200 with something that is not the JSON it should be",
        hint "send the job again; look at what stands between worker and WebUI";
    Misconfigured = "BACKEND_MISCONFIGURED", Backend, retryable false,
        when "wrong credentials, no such route, or no model",
        hint "run `sd-worker doctor` on the worker: it names what is missing";
    Failed = "BACKEND_ERROR", Backend, retryable false,
        when "any other failure of the WebUI",
        hint "the WebUI's log tells more";
    /// The job itself asks for an upload.
    NoBucketForJob = "UPLOAD_NOT_CONFIGURED", User, retryable false,
        when "the job asks for an upload, and neither it nor the worker has a bucket; nothing was rendered",
        hint "send an s3Config with the job, or leave worker.output away; the worker's owner can set BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY";
    NoBucket = "UPLOAD_NOT_CONFIGURED", Worker, retryable false,
        when "with `--output upload`: there is no bucket; nothing was rendered",
        hint "set BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY on the endpoint, or start the worker with --output auto";
    OutputTooLarge = "OUTPUT_TOO_LARGE", User, retryable false,
        when "with `--output auto` or a stream: the platform does not take so much, and nothing that is allowed makes it less",
        hint "set worker.output to \"auto\" or \"upload\"";
    /// The SDK's code for the reason of the end takes its place.
    Interrupted = "INTERRUPTED", Platform, retryable true,
        when "the worker had to go; seen in logs only",
        hint none;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages;

    const PAGE: &str = "sd-worker-errors.md";

    #[test]
    fn the_page_lists_every_code_and_no_other() {
        let head = "| code | class | retryable | what happened | what to do |\n|---|---|---|---|---|\n";
        let rows = Code::ALL.iter().map(|(code, when)| {
            let class = serde_json::to_value(code.class()).unwrap();
            let class = class.as_str().unwrap();
            let again = if code.is_retryable() { "yes" } else { "no" };
            let hint = code.hint().unwrap_or_default();
            format!("| `{}` | {class} | {again} | {when} | {hint} |\n", code.code())
        });
        pages::assert_list(PAGE, &(head.to_owned() + &rows.collect::<String>()));
    }

    #[test]
    fn the_sdk_s_own_codes_are_on_the_page_too() {
        let page = pages::read(PAGE);
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
