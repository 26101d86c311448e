//! One picture as a chunk of a stream.

use runpod_sdk::json::RawJson;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::output::{Delivered, Entry, Picture};
use crate::splice::quoted;

/// More than everything of a chunk takes but the picture, the infotext and the warnings.
const THE_REST: usize = 300;

/// What a client reads for each picture: what a list `pictures` says of it, and the picture itself unless that has
/// its URL.
#[derive(Debug, Serialize)]
struct Chunk<'a> {
    #[serde(flatten)]
    entry: Entry<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
}

/// The bytes of JSON that are left for the picture in a chunk of so many.
pub(super) fn room(picture: &Picture, warnings: Option<&RawValue>, chunk: usize) -> usize {
    let infotext = picture.infotext.as_deref().map_or(0, |text| quoted(text).len());
    let warnings = warnings.map_or(0, |warnings| warnings.get().len());
    chunk.saturating_sub(THE_REST + infotext + warnings)
}

pub(super) fn json(
    picture: &Picture,
    delivered: &Delivered,
    warnings: Option<&RawValue>,
) -> serde_json::Result<RawJson> {
    RawJson::encode(&Chunk {
        entry: picture.entry(delivered),
        warnings,
        image: delivered.base64(),
    })
}
