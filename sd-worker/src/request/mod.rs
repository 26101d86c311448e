//! What a job asks for: which route of the WebUI, with which body, and what it wishes of the worker.
//!
//! An input is read in two steps. First its shape is found by looking for a few words, which costs a large
//! input next to nothing; most are plain txt2img and are not even parsed. Then, and only for the other
//! shapes, the keys of the first level are read. The payload itself stays text.

mod error;
mod pictures;
mod routes;
mod shape;
mod wishes;

use runpod_sdk::json::RawJson;

use crate::webui::Call;

pub(crate) use error::RequestError;
pub(crate) use pictures::{PictureError, Pictures};
pub(crate) use routes::{Allowed, Work};
pub(crate) use wishes::Wishes;

/// A job's request, understood.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) work: Work,
    pub(crate) wishes: Wishes,
}

impl Request {
    /// Understands a job's input. `allowed` says which routes jobs may call beside the usual ones.
    pub(crate) fn read(input: RawJson, allowed: &Allowed) -> Result<Self, RequestError> {
        shape::require_object(&input)?;
        if let Some(api) = shape::api_form(&input)? {
            return api.request(allowed);
        }
        if shape::has_init_images(&input) {
            return Ok(Self {
                call: Call::img2img(input),
                work: Work::Render,
                wishes: Wishes::default(),
            });
        }
        Ok(Self {
            call: Call::txt2img(input),
            work: Work::Render,
            wishes: Wishes::default(),
        })
    }
}

/// Whether a text can be a route.
pub(crate) fn is_route(text: &str) -> bool {
    routes::normal(text).is_some()
}

#[cfg(test)]
mod tests;
