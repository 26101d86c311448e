//! Pictures in an output: saved as files, or shown as their size.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// How the base64 text of a picture begins, and the ending of its file.
const BEGINNINGS: [(&str, &str); 3] = [("iVBORw0KGgo", "png"), ("/9j/", "jpg"), ("UklGR", "webp")];
/// Shorter texts are shown as they are.
const SHORT: usize = 200;

/// Replaces each picture of a value by a few words. With `save`, the picture is a file `NAME-1.png` there, and the words
/// say where.
pub(super) fn replace(value: &mut Value, save: Option<(&Path, &str)>) -> anyhow::Result<()> {
    replace_all(value, save, &mut 0)
}

fn replace_all(value: &mut Value, save: Option<(&Path, &str)>, number: &mut usize) -> anyhow::Result<()> {
    match value {
        Value::String(text) => {
            if let Some((bytes, ending)) = decode(text) {
                *number += 1;
                *text = match save {
                    Some((folder, name)) => {
                        let file = folder.join(format!("{name}-{number}.{ending}"));
                        std::fs::write(&file, bytes)
                            .with_context(|| format!("cannot write {}", file.display()))?;
                        format!("<{}>", file.display())
                    }
                    None => format!(
                        "<{ending}, {} kB; --save DIR keeps it>",
                        bytes.len().div_ceil(1000)
                    ),
                };
            }
            Ok(())
        }
        Value::Array(values) => values
            .iter_mut()
            .try_for_each(|inner| replace_all(inner, save, number)),
        Value::Object(fields) => fields
            .values_mut()
            .try_for_each(|inner| replace_all(inner, save, number)),
        _ => Ok(()),
    }
}

fn decode(text: &str) -> Option<(Vec<u8>, &'static str)> {
    let data = text.split_once(";base64,").map_or(text, |(_, data)| data);
    let (_, ending) = BEGINNINGS
        .iter()
        .find(|(beginning, _)| data.len() > SHORT && data.starts_with(beginning))?;
    Some((STANDARD.decode(data).ok()?, ending))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_picture_is_saved_and_the_rest_is_left_alone() {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        file.extend([7; 300]);
        let picture = STANDARD.encode(&file);
        let mut output =
            json!({"images": [picture, format!("data:image/png;base64,{picture}")], "info": "text"});

        let mut shown = output.clone();
        replace(&mut shown, None).unwrap();
        assert_eq!(shown["images"][0], "<png, 1 kB; --save DIR keeps it>");
        assert_eq!(shown["info"], "text");

        let folder = tempfile::tempdir().unwrap();
        replace(&mut output, Some((folder.path(), "job"))).unwrap();
        for name in ["job-1.png", "job-2.png"] {
            assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), file, "{name}");
        }
    }
}
