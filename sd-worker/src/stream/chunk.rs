//! The chunk of one picture.

use runpod_sdk::json::RawJson;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::output::{Delivered, Picture, PictureEntry};
use crate::splice::quoted;

/// More bytes than a chunk takes without its picture, infotext and warnings.
const THE_REST: usize = 300;

/// A chunk: the picture's entry as in a list `pictures`, and the picture itself unless it was uploaded.
#[derive(Debug, Serialize)]
struct Chunk<'a> {
    #[serde(flatten)]
    entry: PictureEntry<'a>,
    #[serde(flatten)]
    notes: Notes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
}

/// What is said about the render of a picture.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Notes<'a> {
    /// The warnings of the checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warnings: Option<&'a RawValue>,
    /// What the render's answer has in the place of pictures, with the last of its pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_streamed: Option<&'a RawValue>,
}

/// The bytes of JSON that are left for the picture in a chunk of `chunk` bytes.
pub(super) fn room(picture: &Picture, notes: Notes<'_>, chunk: usize) -> usize {
    let infotext = picture.infotext.as_deref().map_or(0, |text| quoted(text).len());
    let notes = [notes.warnings, notes.not_streamed];
    let notes: usize = notes.iter().flatten().map(|note| note.get().len()).sum();
    chunk.saturating_sub(THE_REST + infotext + notes)
}

/// The chunk of a delivered picture.
pub(super) fn json(
    picture: &Picture,
    delivered: &Delivered,
    notes: Notes<'_>,
) -> serde_json::Result<RawJson> {
    RawJson::encode(&Chunk {
        entry: delivered.entry(picture),
        notes,
        image: delivered.base64(),
    })
}
