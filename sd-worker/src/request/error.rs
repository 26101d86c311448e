//! Why an input is refused.

use super::refusal_reason::RefusalReason;
use super::routes::only_method;
use std::borrow::Cow;

use crate::code::{Code, Explain};

/// Why an input is refused. Nothing is sent then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("input: expected an object, found {found}")]
    NotAnObject { found: &'static str },
    #[error("input.{path}: {why}")]
    Form { path: Cow<'static, str>, why: String },
    #[error(transparent)]
    NotARequest(#[from] NotARequest),
    #[error("input.api.endpoint: {} {route} is not passed on{}", .method, .why.text())]
    Refused {
        method: String,
        route: String,
        why: RefusalReason,
    },
    #[error("input.{path}: this setting says where the server writes, for later jobs as well")]
    Setting { path: String },
}

/// An object that the WebUI would render, and that is no request to render.
#[derive(Debug, thiserror::Error)]
#[error("input{}{path}: {why}", if .path.is_empty() { "" } else { "." })]
pub(crate) struct NotARequest {
    pub(super) path: String,
    pub(super) why: String,
    pub(super) form: RightForm,
}

/// The form of an input that was probably meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RightForm {
    /// txt2img.
    Plain,
    /// img2img.
    FromPicture,
    /// A route by its name.
    Api(&'static str),
}

impl RightForm {
    fn shown(self) -> String {
        const PICTURE: &str = r#""init_images": ["base64 or URL"]"#;
        match self {
            Self::Plain => r#"send {"input": {"prompt": …}} with the fields of /sdapi/v1/txt2img"#.to_owned(),
            Self::FromPicture => format!(r#"send {{"input": {{"prompt": …, {PICTURE}}}}}"#),
            Self::Api(route) => {
                let (method, body) = match (route, only_method(&format!("/sdapi/v1/{route}"))) {
                    ("txt2img", _) => ("POST", r#", "payload": {"prompt": …}"#.to_owned()),
                    ("img2img", _) => ("POST", format!(r#", "payload": {{"prompt": …, {PICTURE}}}"#)),
                    (_, Some(reqwest::Method::POST)) => ("POST", r#", "payload": {…}"#.to_owned()),
                    _ => ("GET", String::new()),
                };
                format!(
                    r#"send {{"input": {{"api": {{"method": "{method}", "endpoint": "/sdapi/v1/{route}"}}{body}}}}}"#
                )
            }
        }
    }
}

/// The message of a serde error without line and column, which count inside a part of the input.
pub(super) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl Explain for RequestError {
    fn code(&self) -> Code {
        match self {
            Self::NotAnObject { .. } | Self::Form { .. } | Self::NotARequest(_) => Code::InvalidInput,
            Self::Refused { .. } => Code::RouteRefused,
            Self::Setting { .. } => Code::SettingRefused,
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        match self {
            Self::Form { .. } => Some(
                "send {\"input\": {\"api\": {\"method\": \"POST\", \"endpoint\": \"/sdapi/v1/txt2img\"}, \"payload\": {…}}}",
            ),
            Self::Refused {
                why: RefusalReason::OtherJobs,
                ..
            } => Some("cancel the job instead: that stops its render"),
            Self::Refused {
                why: RefusalReason::Download,
                ..
            } => Some(
                "put the file on the worker's volume or into its image, and send refresh-checkpoints, refresh-vae or refresh-loras",
            ),
            Self::Refused {
                why: RefusalReason::WrongMethod(_),
                ..
            } => Some("change api.method"),
            Self::NotAnObject { .. } | Self::NotARequest(_) | Self::Refused { .. } | Self::Setting { .. } => {
                None
            }
        }
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NotARequest(refused) => Some(refused.form.shown().into()),
            _ => self.own_hint().or(self.code().hint()).map(Cow::Borrowed),
        }
    }
}
