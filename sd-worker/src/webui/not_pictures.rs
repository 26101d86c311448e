//! Finds what a request has in the place of pictures, after the WebUI could not read one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::call::Call;
use crate::picture::{PictureKind, describe};

/// The pictures of a request that are none, each with what it is instead: `init_images.0: found text/html, 4 KB`.
pub(super) fn not_pictures(call: &Call) -> Vec<String> {
    let Some(Ok(Value::Object(body))) = call
        .body
        .as_ref()
        .map(|body| serde_json::from_slice::<Value>(body.as_bytes()))
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (field, value) in &body {
        match value {
            Value::String(text)
                if ["image", "mask", "latent_mask", "firstpass_image"].contains(&field.as_str()) =>
            {
                found.extend(not_a_picture(field, text));
            }
            Value::Array(items) if field == "init_images" => {
                let texts = items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| Some((index, item.as_str()?)));
                found.extend(
                    texts.filter_map(|(index, text)| not_a_picture(&format!("{field}.{index}"), text)),
                );
            }
            Value::Array(items) if field == "imageList" => {
                let texts = items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| Some((index, item["data"].as_str()?)));
                found.extend(
                    texts.filter_map(|(index, text)| not_a_picture(&format!("{field}.{index}.data"), text)),
                );
            }
            _ => {}
        }
    }
    found
}

fn not_a_picture(path: &str, text: &str) -> Option<String> {
    let base64 = match text.split_once(',') {
        Some((before, after)) if before.starts_with("data:") => after,
        _ => text,
    };
    if base64.is_empty() {
        // The WebUI says that itself, and takes some for none.
        return None;
    }
    match STANDARD.decode(base64.trim()) {
        Err(_) => Some(format!("{path}: not base64")),
        Ok(file) if PictureKind::of(&file).is_some_and(PictureKind::is_picture) => None,
        Ok(file) => Some(format!("{path}: found {}", describe(&file, file.len()))),
    }
}

#[cfg(test)]
mod tests {
    use runpod_sdk::json::RawJson;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_picture_that_is_none_is_described() {
        let page = STANDARD.encode([b"<html>".as_slice(), &[b' '; 4000]].concat());
        let body = json!({ "init_images": ["iVBORw0KGgo=", page, "no base64!"], "mask": "aGVsbG8=" });
        assert_eq!(
            not_pictures(&Call::img2img(RawJson::from(body))),
            [
                "init_images.1: found text/html, 4 KB",
                "init_images.2: not base64",
                "mask: found text/plain, 5 bytes",
            ]
        );
    }
}
