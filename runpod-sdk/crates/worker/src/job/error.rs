//! The error of a failed job, as the caller of the endpoint receives it.

mod code;
mod known;
mod wire;

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use runpod_protocol::causes;
use serde_json::Value;

use crate::backtrace;

pub use code::{ErrorClass, ErrorCode};
pub use known::keep_code_of;
pub(crate) use wire::WorkerIdentity;

/// The result of a handler: a value or a [`JobError`].
pub type JobResult<T> = Result<T, JobError>;

/// The error of a failed job, as its caller reads it.
///
/// `?` converts any error to a `JobError`, and a plain message too:
///
/// ```
/// use runpod_sdk::{JobError, JobResult};
///
/// fn steps(text: &str) -> JobResult<u32> {
///     let steps: u32 = text.parse()?;
///     if steps == 0 {
///         return Err(JobError::invalid_input("steps must be at least 1"));
///     }
///     Ok(steps)
/// }
/// assert_eq!(steps("0").unwrap_err().code().as_str(), "INVALID_INPUT");
/// assert_eq!(steps("x").unwrap_err().message(), "invalid digit found in string");
/// ```
///
/// `?` takes any error, so it does not see the code that a type defines with [`IntoJobError`] unless the type is known:
/// name it in the attribute, `#[handler(errors(NoModel, PaintError))]`, or call [`keep_code_of`] for it. The SDK's own
/// errors, such as `storage::DownloadError`, are known.
///
/// It does not implement [`std::error::Error`]: that would forbid the conversion from any error.
#[derive(Debug)]
pub struct JobError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    code: ErrorCode,
    class: ErrorClass,
    retryable: bool,
    message: String,
    error_type: Cow<'static, str>,
    traceback: String,
    /// The stack where the error was converted. One of class user is sent without it.
    backtrace: Option<String>,
    hint: Option<Cow<'static, str>>,
    details: Option<Value>,
    log_tail: Vec<String>,
}

impl JobError {
    /// An error with this code and class. It is not retryable by default.
    pub fn new(code: ErrorCode, class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                error_type: Cow::Owned(code.as_str().to_owned()),
                code,
                class,
                retryable: false,
                message: message.into(),
                traceback: String::new(),
                backtrace: None,
                hint: None,
                details: None,
                log_tail: Vec::new(),
            }),
        }
    }

    /// The request is at fault: [`ErrorCode::INVALID_INPUT`], class user, not retryable.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_INPUT, ErrorClass::User, message)
    }

    /// An error of the worker's program: [`ErrorCode::HANDLER_ERROR`], class worker.
    pub fn message_only(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::HANDLER_ERROR, ErrorClass::Worker, message)
    }

    /// Sets whether the same request may succeed when sent again.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = retryable;
        self
    }

    /// Adds a hint: what the caller can do about it, in one sentence.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Adds details for programs: a status, a list of fields, limits.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.inner.details = Some(details);
        self
    }

    /// Adds the last lines of a log that explain the failure, oldest first: those of a backend, for example.
    ///
    /// An error without them gets the last lines that the job itself has logged, see
    /// [`Worker::log_tail`](crate::Worker::log_tail).
    #[must_use]
    pub fn with_log_tail(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.inner.log_tail = lines.into_iter().collect();
        self
    }

    /// Replaces code and class and keeps everything else.
    #[must_use]
    pub fn with_code(mut self, code: ErrorCode, class: ErrorClass) -> Self {
        self.inner.code = code;
        self.inner.class = class;
        self
    }

    /// Takes over everything of `error` except its message.
    fn describe(&mut self, error: &impl IntoJobError) {
        let inner = &mut *self.inner;
        (inner.code, inner.class) = (error.code(), error.class());
        inner.retryable = error.is_retryable();
        (inner.hint, inner.details) = (error.hint(), error.details());
    }

    /// Sets the text of `error_traceback`: the chain of causes.
    #[must_use]
    pub(crate) fn with_traceback(mut self, traceback: String) -> Self {
        self.inner.traceback = traceback;
        self
    }

    /// The code.
    pub fn code(&self) -> &ErrorCode {
        &self.inner.code
    }

    /// The class: which side is at fault.
    pub fn class(&self) -> ErrorClass {
        self.inner.class
    }

    /// Whether the same request may succeed when sent again.
    pub fn is_retryable(&self) -> bool {
        self.inner.retryable
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The hint, if there is one.
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// The details, if there are any.
    pub fn details(&self) -> Option<&Value> {
        self.inner.details.as_ref()
    }

    /// Sets the last log lines if there are none yet.
    pub(crate) fn or_log_tail(&mut self, lines: impl FnOnce() -> Vec<String>) {
        if self.inner.log_tail.is_empty() {
            self.inner.log_tail = lines();
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.inner.code, self.inner.message)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for JobError {
    fn from(error: E) -> Self {
        let error: Box<dyn StdError + Send + Sync> = error.into();
        let mut failed = Self::message_only(error.to_string()).with_traceback(source_chain(&*error));
        failed.inner.backtrace = backtrace::capture();
        if let Some(name) = telling_name::<E>() {
            failed.inner.error_type = Cow::Borrowed(name);
        }
        known::describe(&*error, &mut failed);
        failed
    }
}

/// The name of an error's type, unless it says nothing: that of a text, or of an error whose type is erased.
fn telling_name<E>() -> Option<&'static str> {
    let name = type_name::<E>();
    let texts = [
        type_name::<&str>(),
        type_name::<String>(),
        type_name::<Cow<'_, str>>(),
        type_name::<Box<dyn StdError + Send + Sync>>(),
    ];
    (!texts.contains(&name)).then_some(name)
}

/// An error type of the worker's own that can end a job.
///
/// Every method has a default, so an empty `impl` is enough. Overriding `code` and `class` gives callers more
/// information.
///
/// A handler that returns `Result<T, PaintError>` keeps them. In one that returns [`JobResult`], and in the functions it
/// calls, `?` keeps them for the types that `#[handler(errors(PaintError))]` names; of any other type it keeps the
/// message alone.
///
/// ```
/// use runpod_sdk::{ErrorClass, ErrorCode, IntoJobError, JobResult, handler};
///
/// #[derive(Debug, thiserror::Error)]
/// enum PaintError {
///     #[error("the model has no colour called {0}")]
///     UnknownColour(String),
/// }
///
/// impl IntoJobError for PaintError {
///     fn code(&self) -> ErrorCode {
///         ErrorCode::new("UNKNOWN_COLOUR")
///     }
///     fn class(&self) -> ErrorClass {
///         ErrorClass::User
///     }
/// }
///
/// #[handler]
/// async fn paint(colour: String) -> Result<String, PaintError> {
///     Err(PaintError::UnknownColour(colour))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a job can't fail with `{Self}`",
    label = "not an error that a handler may return",
    note = "return `JobResult<T>`: every error type converts to it with `?`; a boxed one is `Box<dyn Error + Send + Sync>`",
    note = "for a type of your own: `impl runpod_sdk::IntoJobError for … {{}}`"
)]
pub trait IntoJobError: Into<JobError> {
    /// The code; [`ErrorCode::HANDLER_ERROR`] unless overridden.
    fn code(&self) -> ErrorCode {
        ErrorCode::HANDLER_ERROR
    }

    /// The class; [`ErrorClass::Worker`] unless overridden.
    fn class(&self) -> ErrorClass {
        ErrorClass::Worker
    }

    /// Whether the same request may succeed when sent again; no, unless overridden.
    fn is_retryable(&self) -> bool {
        false
    }

    /// The hint: what the caller can do about it.
    fn hint(&self) -> Option<Cow<'static, str>> {
        None
    }

    /// Details for programs.
    fn details(&self) -> Option<Value> {
        None
    }

    /// Converts the error. The default takes the message and the chain of causes from the error and the rest from the
    /// methods above.
    fn into_job_error(self) -> JobError {
        let (hint, details) = (self.hint(), self.details());
        let (code, class, retryable) = (self.code(), self.class(), self.is_retryable());
        let mut error = self.into().with_code(code, class).retryable(retryable);
        error.inner.hint = hint;
        error.inner.details = details;
        error
    }
}

#[diagnostic::do_not_recommend]
impl IntoJobError for JobError {
    fn into_job_error(self) -> JobError {
        self
    }
}

#[diagnostic::do_not_recommend]
impl IntoJobError for String {}
#[diagnostic::do_not_recommend]
impl IntoJobError for &'static str {}
#[diagnostic::do_not_recommend]
impl IntoJobError for Box<dyn StdError + Send + Sync> {}
#[diagnostic::do_not_recommend]
impl IntoJobError for std::io::Error {}
#[diagnostic::do_not_recommend]
impl IntoJobError for serde_json::Error {}

fn source_chain(error: &(dyn StdError + 'static)) -> String {
    let texts: Vec<_> = causes::chain(error).map(ToString::to_string).collect();
    texts.join("\ncaused by: ")
}

/// The message of a panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic whose payload is not text")
}

/// The error of a caught panic. `place` is the location that the panic hook recorded.
pub(crate) fn panic_error(payload: &(dyn Any + Send), place: Option<String>) -> JobError {
    let mut error = JobError::new(ErrorCode::PANIC, ErrorClass::Worker, panic_message(payload));
    error.inner.error_type = Cow::Borrowed("panic");
    error.with_traceback(place.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the model is gone")]
    struct Gone(#[source] std::io::Error);

    impl IntoJobError for Gone {
        fn code(&self) -> ErrorCode {
            ErrorCode::new("MODEL_GONE")
        }
        fn is_retryable(&self) -> bool {
            true
        }
    }

    fn wire(error: &JobError) -> String {
        let identity = WorkerIdentity {
            hostname: "h".into(),
            worker_id: "w".into(),
            runpod_version: "1.12.0".into(),
        };
        error.to_wire(&identity)
    }

    /// The environment of a test run may ask for backtraces.
    fn without_backtrace() -> insta::Settings {
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r#"\\nbacktrace:\\n.*?","#, r#"","#);
        settings
    }

    #[test]
    fn a_text_is_no_type_of_an_error() {
        let erased: Box<dyn StdError + Send + Sync> = "no".into();
        for error in [
            JobError::from("no"),
            "no".to_owned().into(),
            Cow::Borrowed("no").into(),
            erased.into(),
        ] {
            assert_eq!(error.inner.error_type, "HANDLER_ERROR");
        }
        let typed = JobError::from(std::io::Error::other("no"));
        assert_eq!(typed.inner.error_type, "std::io::error::Error");
    }

    #[test]
    fn an_error_of_the_user_shows_no_backtrace_whenever_its_class_was_set() {
        let traceback = |class: Option<ErrorClass>| {
            let mut error = JobError::from(Gone(std::io::Error::other("disk unplugged")));
            error.inner.backtrace = Some("   1: paint::mix".to_owned());
            if let Some(class) = class {
                error = error.with_code(ErrorCode::new("X"), class);
            }
            let sent: Value = serde_json::from_str(&wire(&error)).unwrap();
            sent["error_traceback"].as_str().unwrap().to_owned()
        };
        let chain = "the model is gone\ncaused by: disk unplugged";
        assert_eq!(traceback(Some(ErrorClass::User)), chain);
        assert_eq!(traceback(None), format!("{chain}\nbacktrace:\n   1: paint::mix"));
        assert_eq!(traceback(Some(ErrorClass::Backend)), traceback(None));
    }

    #[test]
    fn the_six_known_keys_come_first_and_in_order() {
        let error = JobError::from(Gone(std::io::Error::other("disk unplugged")));
        without_backtrace().bind(|| insta::assert_snapshot!(wire(&error)));
    }

    #[test]
    fn a_typed_error_chooses_its_code() {
        let error = Gone(std::io::Error::other("disk unplugged"))
            .into_job_error()
            .with_hint("plug it in")
            .with_details(json!({ "disk": 1 }))
            .with_log_tail(["one".to_owned(), "two".to_owned()]);
        without_backtrace().bind(|| insta::assert_snapshot!(wire(&error)));
    }

    #[test]
    fn a_panic_without_text_still_has_a_message() {
        let error = panic_error(&42_u8, Some("src/paint.rs:7".to_owned()));
        assert_eq!(error.message(), "a panic whose payload is not text");
        assert_eq!(error.code(), &ErrorCode::PANIC);
    }
}
