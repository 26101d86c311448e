//! One request to one of the WebUI's routes.

use std::borrow::Cow;

use reqwest::Method;
use runpod_sdk::json::RawJson;

use super::{IMG2IMG, TXT2IMG};

/// What is sent to the WebUI, and where. Cloning it shares the body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// With its query, if it has one.
    pub(crate) route: Cow<'static, str>,
    pub(crate) body: Option<RawJson>,
}

impl Call {
    /// A picture from a text.
    pub(crate) fn txt2img(body: RawJson) -> Self {
        Self {
            method: Method::POST,
            route: Cow::Borrowed(TXT2IMG),
            body: Some(body),
        }
    }

    /// A picture from a picture.
    pub(crate) fn img2img(body: RawJson) -> Self {
        Self {
            method: Method::POST,
            route: Cow::Borrowed(IMG2IMG),
            body: Some(body),
        }
    }

    /// Whether it is txt2img or img2img, and nothing else of which the route says so.
    pub(crate) fn is_render(&self) -> bool {
        self.method == Method::POST && [TXT2IMG, IMG2IMG].contains(&&*self.route)
    }

    /// Whether it begins a job of the WebUI's: one that its progress tells and that an interrupt ends.
    pub(super) fn begins_a_job(&self) -> bool {
        [
            "/txt2img",
            "/img2img",
            "/extra-single-image",
            "/extra-batch-images",
        ]
        .iter()
        .any(|route| self.route.ends_with(route))
    }

    /// The same route with another body.
    pub(crate) fn with_body(self, body: RawJson) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }
}
