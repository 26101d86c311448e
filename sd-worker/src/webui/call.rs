//! One request to the WebUI.

use std::borrow::Cow;

use reqwest::Method;
use runpod_sdk::json::RawJson;

use super::routes::{IMG2IMG, TXT2IMG};

/// A request to one of the WebUI's routes. Its clones share the body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) route: Cow<'static, str>,
    pub(crate) body: Option<RawJson>,
    pub(crate) job_kind: JobKind,
}

/// The kind of the WebUI's own job that a request begins. Progress reports that job, and an interrupt ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobKind {
    /// A picture from a text.
    Txt2Img,
    /// A picture from a picture.
    Img2Img,
    /// A job of the Extras tab: upscaling and face restoration.
    Extras,
    /// No known job. An extension's route may queue a job and answer before it begins.
    Nothing,
}

impl JobKind {
    /// Whether the job renders pictures with seeds and infotexts.
    pub(crate) fn is_render(self) -> bool {
        matches!(self, Self::Txt2Img | Self::Img2Img)
    }
}

impl Call {
    /// A request for a picture from a text.
    pub(crate) fn txt2img(body: RawJson) -> Self {
        Self {
            method: Method::POST,
            route: Cow::Borrowed(TXT2IMG),
            body: Some(body),
            job_kind: JobKind::Txt2Img,
        }
    }

    /// A request for a picture from a picture.
    pub(crate) fn img2img(body: RawJson) -> Self {
        Self {
            method: Method::POST,
            route: Cow::Borrowed(IMG2IMG),
            body: Some(body),
            job_kind: JobKind::Img2Img,
        }
    }

    /// Whether the request begins a known job of the WebUI.
    pub(super) fn begins_a_job(&self) -> bool {
        self.job_kind != JobKind::Nothing
    }

    /// The same route with another body.
    pub(crate) fn with_body(self, body: RawJson) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }
}
