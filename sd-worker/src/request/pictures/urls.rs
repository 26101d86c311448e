//! Finds the URLs in a request that stand where pictures are expected.

use serde_json::value::RawValue;

use crate::splice::{Object, may_have};

/// A URL in the place of a picture.
#[derive(Debug)]
pub(super) struct PictureUrl<'a> {
    /// `init_images.0`
    pub(super) path: String,
    pub(super) value: &'a RawValue,
    pub(super) url: String,
}

/// What the WebUI reads and this worker cannot: a text or a key with half a surrogate pair, or a list of pairs in the
/// place of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// `alwayson_scripts.ControlNet.args.0`
    pub(super) path: String,
}

/// Keys of a picture, a list of pictures, or an object with a picture under such a key.
const PICTURES: [&str; 16] = [
    "init_images",
    "mask",
    "latent_mask",
    "firstpass_image",
    "image",
    "imageList",
    "data",
    "controlnet_input_images",
    "controlnet_masks",
    "effective_region_mask",
    "input_image",
    "mask_image",
    "input_mask",
    // Of face swaps: ReActor's own route, and the units of FaceSwapLab.
    "source_image",
    "target_image",
    "source_img",
];
/// Always-on scripts whose first argument is a picture without a key: the face that is swapped in.
const FACE_SWAPS: [&str; 2] = ["reactor", "roop"];
/// The key of the arguments of always-on scripts such as ControlNet, which have any shape.
const SCRIPTS: &str = "alwayson_scripts";

/// All URLs in the places of pictures, in the text's order. Fails at what cannot be read where a URL could stand.
pub(super) fn picture_urls(text: &str) -> Result<Vec<PictureUrl<'_>>, Unreadable> {
    let mut found = Vec::new();
    // Most requests have no URL, and are not parsed.
    if !may_have_a_url(text) {
        return Ok(found);
    }
    let Some(request) = Object::read(text) else {
        return if is_object(text) {
            Err(unreadable(""))
        } else {
            Ok(found)
        };
    };
    for (key, value) in request.iter() {
        if PICTURES.contains(&key) {
            search(value, key, true, &mut found)?;
        } else if key == SCRIPTS {
            search_scripts(value, &mut found)?;
        }
    }
    Ok(found)
}

fn search_scripts<'a>(scripts: &'a RawValue, found: &mut Vec<PictureUrl<'a>>) -> Result<(), Unreadable> {
    if !may_have_a_url(scripts.get()) {
        return Ok(());
    }
    // The WebUI would read a list of pairs as an object.
    let scripts = Object::read(scripts.get()).ok_or_else(|| unreadable(SCRIPTS))?;
    for (title, script) in scripts.iter() {
        let path = format!("{SCRIPTS}.{title}");
        if FACE_SWAPS.contains(&title.to_lowercase().as_str())
            && let Some(face) = first_argument(script).filter(|face| face.get().starts_with('"'))
        {
            search(face, &format!("{path}.args.0"), true, found)?;
        }
        search(script, &path, false, found)?;
    }
    Ok(())
}

fn first_argument(script: &RawValue) -> Option<&RawValue> {
    let args = Object::read(script.get())?.get("args")?;
    let args: Vec<&RawValue> = serde_json::from_str(args.get()).ok()?;
    args.first().copied()
}

/// Searches a value and the values in it. A text counts only where a picture is expected.
fn search<'a>(
    value: &'a RawValue,
    path: &str,
    is_picture: bool,
    found: &mut Vec<PictureUrl<'a>>,
) -> Result<(), Unreadable> {
    let text = value.get();
    if !may_have_a_url(text) {
        return Ok(());
    }
    match text.as_bytes().first() {
        Some(b'"') if is_picture => {
            let text: String = serde_json::from_str(text).map_err(|_| unreadable(path))?;
            if let Some(url) = url(&text) {
                found.push(PictureUrl {
                    path: path.to_owned(),
                    value,
                    url: url.to_owned(),
                });
            }
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| unreadable(path))?;
            for (index, item) in items.into_iter().enumerate() {
                search(item, &format!("{path}.{index}"), is_picture, found)?;
            }
        }
        Some(b'{') => {
            let object = Object::read(text).ok_or_else(|| unreadable(path))?;
            for (key, value) in object.iter() {
                search(value, &format!("{path}.{key}"), PICTURES.contains(&key), found)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn unreadable(path: &str) -> Unreadable {
    Unreadable {
        path: path.to_owned(),
    }
}

/// Whether a JSON text may have a URL in it. Base64 has no colon.
fn may_have_a_url(text: &str) -> bool {
    may_have(text, "://")
}

/// The URL that a text is. Spaces around it and the case of its scheme make no difference.
fn url(text: &str) -> Option<&str> {
    let url = text.trim();
    let (scheme, _) = url.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let urls = picture_urls(text).unwrap().into_iter();
        urls.map(|url| (url.path, url.url)).collect()
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
    fn the_face_of_a_face_swap_is_a_picture_without_a_key() {
        let text = r#"{"alwayson_scripts": {
            "ReActor": {"args": ["https://h/face.png", true, "https://h/no-picture"]},
            "roop": {"args": ["HTTP://h/other.png"]},
            "faceswaplab": {"args": [{"source_img": "https://h/unit.png"}]},
            "other": {"args": ["https://h/no-picture"]}
        }}"#;
        let expected = [
            ("alwayson_scripts.ReActor.args.0", "https://h/face.png"),
            ("alwayson_scripts.roop.args.0", "HTTP://h/other.png"),
            (
                "alwayson_scripts.faceswaplab.args.0.source_img",
                "https://h/unit.png",
            ),
        ];
        assert_eq!(
            found(text),
            expected.map(|(path, url)| (path.to_owned(), url.to_owned()))
        );
        let route = r#"{"source_image": "https://h/a.png", "target_image": "https://h/b.png"}"#;
        assert_eq!(found(route).len(), 2);
    }

    #[test]
    fn spaces_and_case_make_no_difference() {
        for written in [
            r"\u0020https://h/a.png",
            " https://h/a.png\\n",
            "\\thttps:\\/\\/h/a.png",
        ] {
            let text = format!(r#"{{"init_images": ["{written}"]}}"#);
            let expected = ("init_images.0".to_owned(), "https://h/a.png".to_owned());
            assert_eq!(found(&text), [expected], "{text}");
        }
        assert_eq!(found(r#"{"image": "HTTP://h"}"#)[0].1, "HTTP://h");
    }

    /// The WebUI decodes them all, and would fetch the URL itself.
    #[test]
    fn a_url_is_found_however_its_text_and_its_key_are_written() {
        for written in [
            r"\u0068ttp://127.0.0.1:1/a",
            r"http\u003a//127.0.0.1:1/a",
            r"http:\u002f\u002f127.0.0.1:1/a",
            r"http:\u002F/127.0.0.1:1/a",
            r"http:/\/127.0.0.1:1/a",
            r"http:\/\/127.0.0.1:1/a",
            r"\u0068\u0074\u0074\u0070\u003A\u002F\u002F127.0.0.1:1/a",
        ] {
            for key in ["mask", r"m\u0061sk"] {
                let text = format!(r#"{{"{key}": "{written}"}}"#);
                let expected = ("mask".to_owned(), "http://127.0.0.1:1/a".to_owned());
                assert_eq!(found(&text), [expected], "{text}");
            }
        }
        // The WebUI reads pairs as an object.
        let pairs = r#"{"imageList": [[["data", "http://h/a.png"], ["name", "a"]]]}"#;
        assert_eq!(found(pairs)[0].1, "http://h/a.png");
    }

    #[test]
    fn a_url_in_a_face_that_is_an_object_is_found_once() {
        let text = r#"{"alwayson_scripts": {"reactor": {"args": [{"image": "http://h/a.png"}]}}}"#;
        assert_eq!(found(text).len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_no_request_where_a_url_could_stand() {
        for (text, path) in [
            (r#"{"image": "http://h/\ud800"}"#, "image"),
            (r#"{"init_images": ["a", "\udc00http://h"]}"#, "init_images.1"),
            (r#"{"image": {"\ud800": 1, "image": "http://h"}}"#, "image"),
            (r#"{"\ud800": 1, "image": "http://h"}"#, ""),
            (
                r#"{"alwayson_scripts": [["reactor", {"args": ["http://h"]}]]}"#,
                "alwayson_scripts",
            ),
            (
                r#"{"alwayson_scripts": {"reactor": {"args": ["http://h/\ud800"]}}}"#,
                "alwayson_scripts.reactor.args.0",
            ),
        ] {
            let path = path.to_owned();
            assert_eq!(picture_urls(text).unwrap_err(), Unreadable { path }, "{text}");
        }
        assert!(picture_urls(r#"{"prompt": "\ud800"}"#).unwrap().is_empty());
    }

    #[test]
    fn other_texts_are_left_alone() {
        for text in [
            r#"{"prompt": "https://h/a.png"}"#,
            r#"{"image": "httpd.png"}"#,
            r#"{"image": "file:///etc/passwd"}"#,
            r#"{"image": "see https://h/a.png"}"#,
            r#"["https://h/a.png"]"#,
            r#"{"override_settings": {"image": "https://h/a.png"}}"#,
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
