//! Finds the pictures of an answer (`docs/protocol/webui-api.md` §6 and §8).
//!
//! Nothing is copied or decoded: a [`Picture`] shares the answer's buffer, and has the facts that the answer reports.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use runpod_sdk::json::RawJson;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::picture::{ENOUGH, PictureKind, describe};
use crate::splice::Object;

/// The length of the base64 of a picture's first bytes.
const START: usize = ENOUGH / 3 * 4;

/// One picture of an answer. Its clones share its text.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    /// The position among the answer's pictures, from 0.
    pub(crate) index: usize,
    /// Whether it is a grid of the others, which has no seed.
    pub(crate) is_grid: bool,
    /// Whether the answer's list of seeds has an entry for it, readable or not. A picture that is added behind those of
    /// a render has none.
    pub(crate) is_seeded: bool,
    /// The seed that was used.
    pub(crate) seed: Option<i64>,
    /// The variation seed, where variations were asked for.
    pub(crate) subseed: Option<i64>,
    /// The text that the WebUI writes into the file.
    pub(crate) infotext: Option<String>,
    pub(super) kind: PictureKind,
    /// Without quotes.
    base64: Text,
    /// Whether it is a data URL in the answer: `data:image/png;base64,…`.
    pub(super) is_data_url: bool,
    /// The range of the text in the answer, with its quotes.
    pub(super) place: Range<usize>,
}

/// A part of an answer. `Debug` shows its length alone, so that no picture gets into a log.
#[derive(Clone)]
struct Text(Bytes);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The entry of one picture in a list `pictures`.
#[derive(Debug, Serialize)]
pub(crate) struct PictureEntry<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    grid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subseed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    infotext: Option<&'a str>,
    media_type: &'static str,
    /// The size of the file.
    bytes: usize,
}

/// The facts about each picture in `info`.
#[derive(Debug, Default)]
struct RenderInfo {
    all_seeds: Vec<Option<i64>>,
    all_subseeds: Vec<Option<i64>>,
    subseed_strength: f64,
    index_of_first_image: usize,
    infotexts: Vec<Option<String>>,
}

impl Picture {
    /// The pictures of an answer in its order: those under `images`, and the one under `image`. A value that is no
    /// picture in base64 is skipped and keeps its index.
    pub(crate) fn all_of(answer: &RawJson) -> Vec<Self> {
        let text = answer.as_str();
        let Some(object) = Object::read(text) else {
            return Vec::new();
        };
        let info = RenderInfo::of(&object);
        let whole = answer.clone().into_bytes();
        values(&object)
            .filter_map(|(index, value)| Self::read(&whole, index, value, &info))
            .collect()
    }

    fn read(whole: &Bytes, index: usize, value: &RawValue, info: &RenderInfo) -> Option<Self> {
        let quoted = value.get();
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let text = if inner.contains('\\') {
            Bytes::from(serde_json::from_str::<String>(quoted).ok()?)
        } else {
            whole.slice_ref(inner.as_bytes())
        };
        let base64 = without_data_prefix(&text);
        let start = STANDARD.decode(base64.get(..START.min(base64.len()))?).ok()?;
        let start_of_text = quoted.as_ptr() as usize - whole.as_ptr() as usize;
        let of_render = index.checked_sub(info.index_of_first_image);
        let nth = |seeds: &[Option<i64>]| seeds.get(of_render?).copied().flatten();
        Some(Self {
            index,
            is_grid: of_render.is_none(),
            is_seeded: of_render.is_some_and(|number| number < info.all_seeds.len()),
            seed: nth(&info.all_seeds),
            subseed: nth(&info.all_subseeds).filter(|_| info.subseed_strength != 0.0),
            infotext: info.infotexts.get(index).cloned().flatten(),
            kind: PictureKind::of(&start)?,
            is_data_url: base64.len() < text.len(),
            base64: Text(base64),
            place: start_of_text..start_of_text + quoted.len(),
        })
    }

    /// The picture as the WebUI sent it, in base64.
    pub(crate) fn base64(&self) -> &Bytes {
        &self.base64.0
    }

    /// The size of the file, by the length of its base64.
    pub(crate) fn bytes(&self) -> usize {
        let text = &self.base64.0;
        let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
        (text.len() / 4 * 3).saturating_sub(padding)
    }

    /// The file, decoded. `None` if what begins as a picture is not base64 to its end.
    pub(super) fn file(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.base64.0).ok()
    }

    /// Its entry in a list `pictures`.
    pub(super) fn entry_of<'a>(
        &'a self,
        url: Option<&'a str>,
        media_type: &'static str,
        bytes: usize,
    ) -> PictureEntry<'a> {
        PictureEntry {
            index: self.index,
            url,
            grid: self.is_grid,
            seed: self.seed,
            subseed: self.subseed,
            infotext: self.infotext.as_deref(),
            media_type,
            bytes,
        }
    }
}

/// The values in the places of pictures: those under `images`, and the one under `image`.
fn values<'a>(answer: &Object<'a>) -> impl Iterator<Item = (usize, &'a RawValue)> {
    let list = answer
        .get("images")
        .and_then(|images| serde_json::from_str::<Vec<&RawValue>>(images.get()).ok());
    let single = answer.get("image");
    list.unwrap_or_default().into_iter().chain(single).enumerate()
}

/// A value in the place of a picture that is none.
#[derive(Debug, Serialize)]
pub(crate) struct NotAPicture {
    index: usize,
    found: String,
}

impl NotAPicture {
    /// All of an answer, of which `pictures` are recognised.
    pub(crate) fn all_of(answer: &RawJson, pictures: &[Picture]) -> Vec<Self> {
        let Some(object) = Object::read(answer.as_str()) else {
            return Vec::new();
        };
        values(&object)
            .filter(|(index, _)| pictures.iter().all(|picture| picture.index != *index))
            .map(|(index, value)| Self {
                index,
                found: found(value),
            })
            .collect()
    }
}

/// `at 1: text/html, 4 KB`.
impl std::fmt::Display for NotAPicture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {}: {}", self.index, self.found)
    }
}

fn found(value: &RawValue) -> String {
    match serde_json::from_str(value.get()).unwrap_or_default() {
        Value::Null => "null".to_owned(),
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => match STANDARD.decode(without_data_prefix(&Bytes::from(text))) {
            Ok(file) => describe(&file, file.len()),
            Err(_) => "a text that is not base64".to_owned(),
        },
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Bool(_) | Value::Number(_) => "no text".to_owned(),
    }
}

impl RenderInfo {
    fn of(answer: &Object<'_>) -> Self {
        let text = info(answer);
        let Some(info) = text.as_deref().and_then(Object::read) else {
            return Self::default();
        };
        // One unreadable value must not hide the others.
        let list = |key| info.decode::<Vec<Value>>(key).unwrap_or_default();
        let numbers = |key| list(key).iter().map(Value::as_i64).collect();
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        Self {
            all_seeds: numbers("all_seeds"),
            all_subseeds: numbers("all_subseeds"),
            subseed_strength: info.decode("subseed_strength").unwrap_or_default(),
            index_of_first_image: info.decode("index_of_first_image").unwrap_or_default(),
            infotexts: list("infotexts").iter().map(text).collect(),
        }
    }
}

/// The document `info` of an answer. It is a JSON text in a string; some servers send it without the string.
pub(crate) fn info<'a>(answer: &Object<'a>) -> Option<Cow<'a, str>> {
    let info = answer.get("info")?.get();
    Some(match serde_json::from_str::<String>(info) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(info),
    })
}

/// The text without a prefix such as `data:image/png;base64,`.
fn without_data_prefix(text: &Bytes) -> Bytes {
    let comma = text
        .starts_with(b"data:")
        .then(|| text.iter().take(100).position(|byte| *byte == b','));
    match comma.flatten() {
        Some(comma) => text.slice(comma + 1..),
        None => text.clone(),
    }
}

#[cfg(test)]
mod tests;
