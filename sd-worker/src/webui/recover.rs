//! An answer put together from pictures that the WebUI has saved.
//!
//! Opt-in: it needs `save_images` in the request, and the WebUI's output directory readable by the worker.
//! What the files hold is told as the WebUI would have told it: the grid first, then the pictures in their order,
//! each with its infotext (`docs/protocol/webui-api.md` §6). The rest of `info` cannot be known.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runpod_sdk::json::RawJson;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::lenient::is_true;

/// Directories by day, by kind and by job are nested this deep at most.
const DEEPEST: usize = 5;
/// File systems round the time of a change.
const ROUNDING: Duration = Duration::from_secs(2);
/// How a whole PNG file ends.
const PNG_END: &[u8] = b"IEND\xaeB\x60\x82";

/// Where the WebUI saves.
#[derive(Debug, Clone)]
pub(super) struct Recovery {
    directory: PathBuf,
}

/// A whole picture file.
#[derive(Debug)]
struct Saved {
    path: PathBuf,
    bytes: Vec<u8>,
    infotext: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    #[serde(deserialize_with = "truth")]
    save_images: bool,
    #[serde(deserialize_with = "whole")]
    seed: Option<i64>,
    #[serde(deserialize_with = "whole")]
    batch_size: Option<usize>,
    #[serde(deserialize_with = "whole")]
    n_iter: Option<usize>,
    prompt: Option<String>,
    negative_prompt: Option<String>,
}

/// Whether the request has the WebUI save its pictures.
pub(super) fn saves_images(request: &RawJson) -> bool {
    asked(request).save_images
}

fn truth<'de, D: Deserializer<'de>>(source: D) -> Result<bool, D::Error> {
    Ok(is_true(&Value::deserialize(source)?))
}

/// A whole number, which may be in quotes.
fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(source: D) -> Result<Option<T>, D::Error> {
    let number = match Value::deserialize(source)? {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    };
    Ok(number.and_then(|number: i64| T::try_from(number).ok()))
}

fn asked(request: &RawJson) -> Asked {
    serde_json::from_slice(request.as_bytes()).unwrap_or_default()
}

impl Recovery {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The answer to `request`, from files that were written `since` it was sent; `None` if there are none.
    pub(super) async fn collect(&self, request: RawJson, since: SystemTime) -> io::Result<Option<RawJson>> {
        let directory = self.directory.clone();
        let collected =
            tokio::task::spawn_blocking(move || answer(&request, find(&directory, since - ROUNDING)?));
        collected
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }
}

/// Every whole picture in `directory` that was written `since` then.
fn find(directory: &Path, since: SystemTime) -> io::Result<Vec<Saved>> {
    let mut found = Vec::new();
    let mut open = vec![(directory.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (path, metadata) = (entry.path(), entry.metadata()?);
            if metadata.is_dir() {
                if depth < DEEPEST {
                    open.push((path, depth + 1));
                }
            } else if metadata.is_file() && metadata.modified()? >= since {
                found.extend(Saved::read(path)?);
            }
        }
    }
    // "00012-3359650810.png": the number is the order of saving.
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

impl Saved {
    /// `None` for what is no picture, or not yet a whole one.
    fn read(path: PathBuf) -> io::Result<Option<Self>> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let extension = extension.unwrap_or_default().to_ascii_lowercase();
        if !matches!(extension.as_str(), "png" | "jpg" | "jpeg" | "webp") {
            return Ok(None);
        }
        let bytes = fs::read(&path)?;
        let whole = match extension.as_str() {
            "png" => bytes.ends_with(PNG_END),
            "webp" => bytes
                .get(4..8)
                .and_then(|length| length.try_into().ok())
                .is_some_and(|length| bytes.len() >= 8 + u32::from_le_bytes(length) as usize),
            _ => bytes.ends_with(b"\xff\xd9"),
        };
        let infotext = infotext(&bytes);
        Ok(whole.then_some(Self {
            path,
            bytes,
            infotext,
        }))
    }

    fn is_grid(&self) -> bool {
        let name = self
            .path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let directory = self
            .path
            .parent()
            .and_then(|parent| parent.to_str())
            .unwrap_or_default();
        name.starts_with("grid-") || directory.contains("-grids")
    }

    fn seed(&self) -> Option<i64> {
        entry(self.infotext.as_deref()?, "Seed")?.parse().ok()
    }
}

/// The text that a PNG file carries under `parameters`.
fn infotext(png: &[u8]) -> Option<String> {
    let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let data = after.get(..length)?;
        match kind {
            b"tEXt" => {
                if let Some(text) = data.strip_prefix(b"parameters\0") {
                    // Latin-1: each byte is the code of its character.
                    return Some(text.iter().map(|byte| char::from(*byte)).collect());
                }
            }
            b"iTXt" => {
                // Not compressed; then language and translated keyword, each ended by a zero.
                if let Some(data) = data.strip_prefix(b"parameters\0\0\0") {
                    let mut parts = data.splitn(3, |byte| *byte == 0);
                    let text = parts.nth(2)?;
                    return String::from_utf8(text.to_vec()).ok();
                }
            }
            b"IDAT" => return None,
            _ => {}
        }
        rest = after.get(length + 4..)?;
    }
    None
}

/// The value of one entry in the last line of an infotext.
fn entry<'a>(infotext: &'a str, name: &str) -> Option<&'a str> {
    let line = infotext.lines().last()?;
    line.split(", ")
        .find_map(|entry| entry.strip_prefix(name)?.strip_prefix(": "))
}

/// What the WebUI would have answered, as far as the files tell.
fn answer(request: &RawJson, found: Vec<Saved>) -> io::Result<Option<RawJson>> {
    let asked = asked(request);
    let wanted = asked.batch_size.unwrap_or(1).max(1) * asked.n_iter.unwrap_or(1).max(1);
    let belongs = |saved: &Saved| match (asked.seed, saved.seed()) {
        (Some(first @ 0..), Some(seed)) => {
            let last = first.saturating_add(i64::try_from(wanted).unwrap_or(i64::MAX));
            (first..last).contains(&seed)
        }
        _ => true,
    };
    let (grids, pictures): (Vec<Saved>, Vec<Saved>) =
        found.into_iter().filter(belongs).partition(Saved::is_grid);
    if pictures.is_empty() {
        return Ok(None);
    }
    let mut warning =
        "the connection to the WebUI was lost; this answer was put together from the pictures that \
                       it has saved, and info holds only what they tell"
            .to_owned();
    if pictures.len() != wanted {
        let found = pictures.len();
        let _ = write!(warning, "; {found} pictures were found, {wanted} were asked for");
    }
    let seeds: Vec<Option<i64>> = pictures.iter().map(Saved::seed).collect();
    let in_order: Vec<&Saved> = grids.iter().chain(&pictures).collect();
    let infotexts: Vec<&str> = in_order
        .iter()
        .map(|saved| saved.infotext.as_deref().unwrap_or_default())
        .collect();
    let mut info: Map<String, Value> = Map::new();
    info.insert("prompt".to_owned(), json!(asked.prompt.unwrap_or_default()));
    info.insert(
        "negative_prompt".to_owned(),
        json!(asked.negative_prompt.unwrap_or_default()),
    );
    info.insert("seed".to_owned(), json!(seeds.first().copied().flatten()));
    info.insert("all_seeds".to_owned(), json!(seeds));
    let told = pictures[0].infotext.as_deref().unwrap_or_default();
    for (key, name) in [
        ("sampler_name", "Sampler"),
        ("sd_model_name", "Model"),
        ("sd_model_hash", "Model hash"),
        ("version", "Version"),
    ] {
        if let Some(value) = entry(told, name) {
            info.insert(key.to_owned(), json!(value));
        }
    }
    for (key, name) in [("steps", "Steps"), ("cfg_scale", "CFG scale")] {
        let value = entry(told, name).and_then(|value| serde_json::from_str::<Value>(value).ok());
        if let Some(value) = value {
            info.insert(key.to_owned(), value);
        }
    }
    info.insert("index_of_first_image".to_owned(), json!(grids.len()));
    info.insert("infotexts".to_owned(), json!(infotexts));
    let images: Vec<String> = in_order
        .iter()
        .map(|saved| STANDARD.encode(&saved.bytes))
        .collect();
    let parameters: &RawValue = serde_json::from_slice(request.as_bytes())?;
    let answer = json!({
        "images": images,
        "parameters": parameters,
        "info": Value::Object(info).to_string(),
        "warnings": [warning],
    });
    Ok(Some(RawJson::encode(&answer)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(infotext: &str) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |kind: &[u8], data: &[u8]| {
            file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            file.extend([kind, data, b"sum!"].concat());
        };
        chunk(b"IHDR", b"0123456789012");
        chunk(b"tEXt", format!("parameters\0{infotext}").as_bytes());
        chunk(b"IDAT", b"x");
        file.extend(b"\0\0\0\0IEND\xaeB\x60\x82");
        file
    }

    fn text(seed: i64) -> String {
        format!(
            "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7.0, Seed: {seed}, Version: v1.10.1"
        )
    }

    fn saved(name: &str, seed: i64) -> Saved {
        let bytes = png(&text(seed));
        let infotext = infotext(&bytes);
        Saved {
            path: PathBuf::from(name),
            bytes,
            infotext,
        }
    }

    fn recovered(request: &str, found: Vec<Saved>) -> Option<Value> {
        let answer = answer(&RawJson::parse(request.to_owned()).unwrap(), found).unwrap()?;
        Some(serde_json::from_slice(answer.as_bytes()).unwrap())
    }

    #[test]
    fn an_infotext_is_read_from_a_png() {
        assert_eq!(infotext(&png("héllo")).as_deref(), Some("hÃ©llo"), "as Latin-1");
        assert_eq!(infotext(b"\xff\xd8 a JPEG"), None);
        assert_eq!(infotext(&png("x")[..30]), None);
    }

    #[test]
    fn the_grid_comes_first_and_the_pictures_follow_in_order() {
        let request = r#"{"prompt": "a cat", "seed": 5, "batch_size": 2, "save_images": true}"#;
        let answer = recovered(
            request,
            vec![
                saved("o/txt2img-grids/2026-01-01/grid-0001.png", 5),
                saved("o/txt2img-images/2026-01-01/00001-5.png", 5),
                saved("o/txt2img-images/2026-01-01/00002-6.png", 6),
            ],
        )
        .unwrap();
        let info: Value = serde_json::from_str(answer["info"].as_str().unwrap()).unwrap();
        assert_eq!(answer["images"].as_array().unwrap().len(), 3);
        assert_eq!(info["index_of_first_image"], 1);
        assert_eq!(info["all_seeds"], json!([5, 6]));
        assert_eq!(info["infotexts"], json!([text(5), text(5), text(6)]));
        assert_eq!(
            (&info["steps"], &info["sampler_name"]),
            (&json!(20), &json!("Euler a"))
        );
        assert_eq!(answer["parameters"]["prompt"], "a cat");
        assert!(answer["warnings"][0].as_str().unwrap().contains("put together"));
    }

    #[test]
    fn pictures_of_other_seeds_are_not_ours() {
        let request = r#"{"seed": 5, "save_images": true}"#;
        assert_eq!(recovered(request, vec![saved("00001-9.png", 9)]), None);
        assert!(recovered(r#"{"seed": -1}"#, vec![saved("00001-9.png", 9)]).is_some());
        assert_eq!(recovered(request, vec![]), None);
    }

    #[test]
    fn pictures_that_are_missing_are_told() {
        let answer = recovered(r#"{"seed": 5, "n_iter": 3}"#, vec![saved("00001-5.png", 5)]).unwrap();
        let warning = answer["warnings"][0].as_str().unwrap();
        assert!(
            warning.ends_with("1 pictures were found, 3 were asked for"),
            "{warning}"
        );
    }

    #[test]
    fn old_files_half_files_and_other_files_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let day = directory.path().join("txt2img-images/2026-01-01");
        fs::create_dir_all(&day).unwrap();
        fs::write(day.join("00001-5.png"), png(&text(5))).unwrap();
        fs::write(day.join("00002-6.png"), &png(&text(6))[..60]).unwrap();
        fs::write(day.join("00001-5.txt"), "x").unwrap();
        let names = |since| {
            let found = find(directory.path(), since).unwrap();
            found.len()
        };
        assert_eq!(names(SystemTime::now() - Duration::from_mins(1)), 1);
        assert_eq!(names(SystemTime::now() + Duration::from_mins(1)), 0);
        assert!(find(Path::new("/no/such/directory"), SystemTime::now()).is_err());
    }

    #[test]
    fn only_a_request_that_saves_can_be_recovered() {
        let saves = |text: &str| saves_images(&RawJson::parse(text.to_owned()).unwrap());
        assert!(saves(r#"{"save_images": true}"#));
        assert!(!saves(r#"{"save_images": false}"#) && !saves("{}"));
    }
}
