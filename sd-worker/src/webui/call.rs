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
    pub(crate) begins: Begins,
}

/// Which job of the WebUI's a request begins: one that its progress tells and that an interrupt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    /// A picture from a text.
    Txt2Img,
    /// A picture from a picture.
    Img2Img,
    /// One of the Extras tab: upscaling and faces.
    Extras,
    /// None, or none that is known: an extension's route may queue a job of its own and answer before that begins.
    Nothing,
}

impl Begins {
    /// Whether a picture is rendered, with seeds and infotexts.
    pub(crate) fn is_render(self) -> bool {
        matches!(self, Self::Txt2Img | Self::Img2Img)
    }
}

impl Call {
    /// A picture from a text.
    pub(crate) fn txt2img(body: RawJson) -> Self {
        Self {
            method: Method::POST,
            route: Cow::Borrowed(TXT2IMG),
            body: Some(body),
            begins: Begins::Txt2Img,
        }
    }

    /// A picture from a picture.
    pub(crate) fn img2img(body: RawJson) -> Self {
        Self {
            method: Method::POST,
            route: Cow::Borrowed(IMG2IMG),
            body: Some(body),
            begins: Begins::Img2Img,
        }
    }

    pub(super) fn begins_a_job(&self) -> bool {
        self.begins != Begins::Nothing
    }

    /// The same route with another body.
    pub(crate) fn with_body(self, body: RawJson) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }
}
