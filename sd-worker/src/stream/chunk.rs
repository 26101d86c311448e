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
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
}

/// The bytes of JSON that are left for the picture in a chunk of `chunk` bytes.
pub(super) fn room(picture: &Picture, warnings: Option<&RawValue>, chunk: usize) -> usize {
    let infotext = picture.infotext.as_deref().map_or(0, |text| quoted(text).len());
    let warnings = warnings.map_or(0, |warnings| warnings.get().len());
    chunk.saturating_sub(THE_REST + infotext + warnings)
}

/// The chunk of a delivered picture.
pub(super) fn json(
    picture: &Picture,
    delivered: &Delivered,
    warnings: Option<&RawValue>,
) -> serde_json::Result<RawJson> {
    RawJson::encode(&Chunk {
        entry: delivered.entry(picture),
        warnings,
        image: delivered.base64(),
    })
}
