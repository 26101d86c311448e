//! Where in a request pictures stand.

use serde_json::value::RawValue;

use crate::splice::Object;

/// A text that is a URL where a picture should be.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// `init_images.0`
    pub(super) path: String,
    pub(super) value: &'a RawValue,
    pub(super) url: String,
}

/// Keys whose value is a picture, a list of pictures, or an object with a picture under such a key.
const PICTURES: [&str; 11] = [
    "init_images",
    "mask",
    "latent_mask",
    "firstpass_image",
    "image",
    "imageList",
    "data",
    "controlnet_input_images",
    "input_image",
    "mask_image",
    "input_mask",
];
/// Where always-on scripts, ControlNet among them, have their arguments, of any shape.
const SCRIPTS: &str = "alwayson_scripts";

/// All URLs where pictures should be, in the text's order.
pub(super) fn with_urls(text: &str) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    // Most requests have none, and most of those are not even parsed.
    if text.contains("\"http")
        && let Some(request) = Object::read(text)
    {
        for (key, value) in request.iter() {
            if PICTURES.contains(&key) {
                look(value, key, true, &mut places);
            } else if key == SCRIPTS {
                look(value, key, false, &mut places);
            }
        }
    }
    places
}

/// Looks at a value and what is in it. A text counts only where a picture is expected.
fn look<'a>(value: &'a RawValue, path: &str, is_picture: bool, places: &mut Vec<Place<'a>>) {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') if is_picture && text.starts_with("\"http") => {
            if let Ok(url) = serde_json::from_str::<String>(text)
                && (url.starts_with("http://") || url.starts_with("https://"))
            {
                places.push(Place {
                    path: path.to_owned(),
                    value,
                    url,
                });
            }
        }
        Some(b'[') if text.contains("\"http") => {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
            for (index, item) in items.into_iter().enumerate() {
                look(item, &format!("{path}.{index}"), is_picture, places);
            }
        }
        Some(b'{') if text.contains("\"http") => {
            let Some(object) = Object::read(text) else { return };
            for (key, value) in object.iter() {
                look(value, &format!("{path}.{key}"), PICTURES.contains(&key), places);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let places = with_urls(text);
        places.into_iter().map(|place| (place.path, place.url)).collect()
    }

    #[test]
    fn pictures_are_found_wherever_the_webui_takes_them() {
        let text = r#"{
            "init_images": ["aGk=", "https://h/a.png"], "mask": "http:\/\/h/m.png",
            "imageList": [{"data": "https://h/b.png", "name": "https://h/name"}],
            "alwayson_scripts": {"ControlNet": {"args": [
                {"enabled": true, "module": "https://h/no", "image": "https://h/c.png"},
                {"image": {"image": "https://h/d.png", "mask": "https://h/e.png"}},
                "https://h/no-picture"
            ]}}
        }"#;
        let expected = [
            ("init_images.1", "https://h/a.png"),
            ("mask", "http://h/m.png"),
            ("imageList.0.data", "https://h/b.png"),
            ("alwayson_scripts.ControlNet.args.0.image", "https://h/c.png"),
            (
                "alwayson_scripts.ControlNet.args.1.image.image",
                "https://h/d.png",
            ),
            ("alwayson_scripts.ControlNet.args.1.image.mask", "https://h/e.png"),
        ];
        assert_eq!(
            found(text),
            expected.map(|(path, url)| (path.to_owned(), url.to_owned()))
        );
    }

    #[test]
    fn other_texts_are_left_alone() {
        for text in [
            r#"{"prompt": "https://h/a.png"}"#,
            r#"{"image": "httpd.png"}"#,
            r#"{"image": "file:///etc/passwd"}"#,
            r#"{"image": "HTTP://h"}"#,
            r#"["https://h/a.png"]"#,
            r#"{"override_settings": {"image": "https://h/a.png"}}"#,
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
