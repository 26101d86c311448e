//! Which pictures an answer has, and what it reports of them.

use serde_json::json;

use super::*;
use crate::output::delivery::Delivered;

const PNG: &[u8] = include_bytes!("../../../../tests/fixtures/webui/v1.10.1/txt2img-minimal.png");

fn pictures(answer: &Value) -> Vec<Picture> {
    Picture::all_of(&RawJson::from(answer.clone()))
}

/// The entries of a list `pictures`, without kind and size.
fn entries(answer: &Value) -> Value {
    let entry = |picture: Picture| {
        let delivered = Delivered::as_it_was(&picture);
        let mut entry = serde_json::to_value(delivered.entry(&picture)).unwrap();
        let fields = entry.as_object_mut().unwrap();
        assert_eq!(fields.remove("media_type"), Some(json!("image/png")));
        assert_eq!(fields.remove("bytes"), Some(json!(PNG.len())));
        entry
    };
    pictures(answer).into_iter().map(entry).collect()
}

#[test]
fn a_picture_is_a_slice_of_the_answer() {
    let base64 = STANDARD.encode(PNG);
    let answer = RawJson::parse(format!("{{ \"images\" : [\"{base64}\"] }}")).unwrap();
    let [picture] = &Picture::all_of(&answer)[..] else {
        panic!("one picture")
    };
    let text = answer.as_str();
    assert_eq!(&text[picture.place.clone()], format!("\"{base64}\""));
    assert_eq!(
        picture.base64().as_ptr(),
        text[picture.place.start + 1..].as_ptr()
    );
    assert_eq!(picture.bytes(), PNG.len());
    assert_eq!(picture.file().unwrap(), PNG);
    assert!(!format!("{picture:?}").contains("iVBOR"));
}

#[test]
fn seeds_and_infotexts_go_to_their_pictures_behind_the_grid() {
    let base64 = STANDARD.encode(PNG);
    let mut info = json!({
        "all_seeds": [5, 6], "all_subseeds": [8, 9], "subseed_strength": 0,
        "index_of_first_image": 1, "infotexts": ["grid", "five", "six"],
    });
    let answer = |info: &Value| json!({ "images": [base64, base64, base64], "info": info.to_string() });
    assert_eq!(
        entries(&answer(&info)),
        json!([
            { "index": 0, "grid": true, "infotext": "grid" },
            { "index": 1, "seed": 5, "infotext": "five" },
            { "index": 2, "seed": 6, "infotext": "six" },
        ])
    );
    info["subseed_strength"] = json!(0.5);
    info["index_of_first_image"] = json!(0);
    assert_eq!(
        entries(&answer(&info)),
        json!([
            { "index": 0, "seed": 5, "subseed": 8, "infotext": "grid" },
            { "index": 1, "seed": 6, "subseed": 9, "infotext": "five" },
            // What a script adds at the end has no seed.
            { "index": 2, "infotext": "six" },
        ])
    );
}

#[test]
fn an_odd_info_is_read_as_far_as_it_can_be() {
    let base64 = STANDARD.encode(PNG);
    let info = json!({ "all_seeds": ["5", 6], "subseed_strength": null, "infotexts": [null, "x", 3] });
    let answer = json!({ "images": [base64, base64, base64], "info": info });
    assert_eq!(
        entries(&answer),
        json!([{ "index": 0 }, { "index": 1, "seed": 6, "infotext": "x" }, { "index": 2 }])
    );
    let seeded: Vec<bool> = pictures(&answer)
        .iter()
        .map(|picture| picture.is_seeded)
        .collect();
    assert_eq!(seeded, [true, true, false]);
    let answer = json!({ "images": [base64], "info": "Steps: 20" });
    assert_eq!(entries(&answer), json!([{ "index": 0 }]));
}

#[test]
fn answers_of_extras_have_pictures_without_seeds() {
    let base64 = STANDARD.encode(PNG);
    let single = json!({ "html_info": "", "image": base64 });
    assert_eq!(entries(&single), json!([{ "index": 0 }]));
    let batch = json!({ "html_info": "", "images": [base64, base64] });
    assert_eq!(entries(&batch), json!([{ "index": 0 }, { "index": 1 }]));
}

#[test]
fn what_is_no_picture_is_passed_over_and_keeps_its_index() {
    let base64 = STANDARD.encode(PNG);
    let answer = json!({ "images": [null, "aGVsbG8=", "", 1, format!("data:image/png;base64,{base64}")] });
    let found = pictures(&answer);
    assert_eq!((found.len(), found[0].index), (1, 4));
    assert_eq!(found[0].file().unwrap(), PNG);
    for none in [
        json!([base64]),
        json!({ "caption": "a cat" }),
        json!({ "images": base64 }),
    ] {
        assert!(pictures(&none).is_empty(), "{none}");
    }
}

#[test]
fn an_escaped_slash_is_a_slash() {
    let base64 = STANDARD.encode(PNG);
    let text = format!(r#"{{"images":["{}"]}}"#, base64.replace('/', "\\/"));
    let found = Picture::all_of(&RawJson::parse(text.clone()).unwrap());
    assert_eq!(found[0].file().unwrap(), PNG);
    assert_eq!(
        text[found[0].place.clone()].len(),
        base64.replace('/', "\\/").len() + 2
    );
}

#[test]
fn what_is_no_picture_is_described() {
    let base64 = STANDARD.encode(PNG);
    let answer = json!({ "images": [base64, null, "aGVsbG8=", "", 1, "/tmp/a.png", { "a": 1 }] });
    let answer = RawJson::from(answer);
    let others = NotAPicture::all_of(&answer, &Picture::all_of(&answer));
    assert_eq!(
        serde_json::to_value(others).unwrap(),
        json!([
            { "index": 1, "found": "null" },
            { "index": 2, "found": "text/plain, 5 bytes" },
            { "index": 3, "found": "an empty text" },
            { "index": 4, "found": "no text" },
            { "index": 5, "found": "a text that is not base64" },
            { "index": 6, "found": "an object" },
        ])
    );
}

#[test]
fn animations_and_videos_are_recognised() {
    for (file, media_type) in [
        (&b"GIF89a and so on"[..], "image/gif"),
        (b"\0\0\0\x18ftypisom and so on", "video/mp4"),
        (
            b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23B\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm and so on",
            "video/webm",
        ),
    ] {
        let base64 = STANDARD.encode(file);
        for text in [base64.clone(), format!("data:{media_type};base64,{base64}")] {
            let found = pictures(&json!({ "images": [text] }));
            assert_eq!(found[0].kind.media_type(), media_type);
            assert_eq!(found[0].file().unwrap(), file);
        }
    }
}
