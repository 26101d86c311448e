//! Reads a job's input: the WebUI's route, the body, and the job's options for the worker.
//!
//! The keys of the first level are read once; pictures and other values are walked over and not decoded. The body stays
//! the text that came. What the WebUI would render as a picture of nothing is refused.

mod error;
mod fields;
mod options;
mod pictures;
mod refusal_reason;
mod render_body;
mod routes;
mod server_settings;
mod shape;

use runpod_sdk::json::RawJson;

use self::routes::AllowedRoutes;
use self::server_settings::AllowedSettings;
use self::shape::ApiForm;
use crate::webui::Call;

pub(crate) use error::RequestError;
pub(crate) use fields::{fields_of, meant};
pub(crate) use options::JobOptions;
pub(crate) use pictures::{PictureError, PictureFetcher};
pub(crate) use routes::GpuUse;
pub(crate) use server_settings::without_secrets;

/// A job's request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) gpu_use: GpuUse,
    pub(crate) options: JobOptions,
}

/// What jobs may ask for beside the usual.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed {
    routes: AllowedRoutes,
    settings: AllowedSettings,
}

impl Allowed {
    /// Routes and settings by their names, or by the beginnings of their names with `*` behind.
    pub(crate) fn new(routes: &[String], settings: &[String]) -> Self {
        Self {
            routes: AllowedRoutes::new(routes),
            settings: AllowedSettings::new(settings),
        }
    }
}

impl Request {
    /// Reads a job's input. `allowed` is what jobs may ask for beside the usual.
    pub(crate) fn read(input: &RawJson, allowed: &Allowed) -> Result<Self, RequestError> {
        let object = shape::keys(input)?;
        match ApiForm::read(input, &object)? {
            Some(form) => form.request(allowed),
            None => shape::plain(input, &object, allowed),
        }
    }
}

#[cfg(test)]
mod tests;
