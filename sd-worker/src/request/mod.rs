//! Reads a job's input: the WebUI's route, the body, and the job's options for the worker.
//!
//! An input is read in two steps. First its shape is found by searching for a few words; most inputs are plain txt2img
//! and are not parsed. Then the keys of the first level are read, for other shapes alone. The payload stays text.

mod error;
mod options;
mod pictures;
mod routes;
mod shape;

use runpod_sdk::json::RawJson;

use crate::webui::Call;

pub(crate) use error::RequestError;
pub(crate) use options::JobOptions;
pub(crate) use pictures::{PictureError, PictureFetcher};
pub(crate) use routes::{AllowedRoutes, GpuUse};

/// A job's request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) gpu_use: GpuUse,
    pub(crate) options: JobOptions,
}

impl Request {
    /// Reads a job's input. `allowed` are the routes that jobs may call beside the usual ones.
    pub(crate) fn read(input: RawJson, allowed: &AllowedRoutes) -> Result<Self, RequestError> {
        shape::require_object(&input)?;
        if let Some(api) = shape::api_form(&input)? {
            return api.request(allowed);
        }
        if shape::has_init_images(&input) {
            return Ok(Self {
                call: Call::img2img(input),
                gpu_use: GpuUse::Render,
                options: JobOptions::default(),
            });
        }
        Ok(Self {
            call: Call::txt2img(input),
            gpu_use: GpuUse::Render,
            options: JobOptions::default(),
        })
    }
}

#[cfg(test)]
mod tests;
