//! What a request may hold, and what the server makes of it.
//!
//! The real program checks bodies with pydantic 1: lenient coercion, one problem per bad field, unknown
//! keys dropped. The tables of fields are data ([`txt2img`], [`img2img`]); [`field`] does the work.

pub(crate) mod body;
pub(crate) mod coerce;
pub(crate) mod extras;
pub(crate) mod field;
pub(crate) mod generation;
mod mode;
mod newer;
pub(crate) mod sd_next;
mod strict;

pub(crate) use field::{Field, Fields};
pub(crate) use mode::Mode;
