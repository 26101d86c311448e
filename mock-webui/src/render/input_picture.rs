//! Pictures that come in with a request: base64, data URL or link (§4).

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use http::StatusCode;
use serde_json::Value;

use crate::answer::Failure;
use crate::gpu::picture::{Picture, Scene};
use crate::profile::Profile;

/// Ignores stray bits at the end, as Python does.
const DECODER: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));

/// A decoded picture and the texts of its file.
#[derive(Debug, Clone)]
pub(crate) struct InputPicture {
    pub(crate) picture: Picture,
    /// Text chunks: keyword and content.
    pub(crate) texts: Vec<(String, String)>,
}

/// Decodes a picture as the server does. Anything that is no picture is "Invalid encoded image".
pub(crate) fn decode(profile: Profile, encoded: &str) -> Result<InputPicture, Failure> {
    let is_link = encoded.starts_with("http://") || encoded.starts_with("https://");
    // SD.Next knows no links.
    if is_link && !profile.is_sd_next() {
        let text = if is_local(encoded) {
            "Request to local resource not allowed"
        } else {
            // A mock fetches nothing: every link is one that could not be read.
            "Invalid image url"
        };
        return Err(Failure::deliberate(StatusCode::INTERNAL_SERVER_ERROR, text));
    }
    let data = if encoded.starts_with("data:image/") {
        let after_type = encoded.split(';').nth(1).and_then(|rest| rest.split(',').nth(1));
        after_type.ok_or_else(|| Failure::unexpected("IndexError", "list index out of range"))?
    } else {
        encoded
    };
    base64(data).as_deref().and_then(read).ok_or_else(invalid)
}

/// Decodes a list entry, which may be anything.
pub(crate) fn decode_value(profile: Profile, value: &Value) -> Result<InputPicture, Failure> {
    let kind = match value {
        Value::String(encoded) => return decode(profile, encoded),
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    Err(Failure::unexpected(
        "AttributeError",
        format!("'{kind}' object has no attribute 'startswith'"),
    ))
}

fn invalid() -> Failure {
    Failure::deliberate(StatusCode::INTERNAL_SERVER_ERROR, "Invalid encoded image")
}

/// Decodes as Python does: characters outside the alphabet are skipped, the padding must be there, and what follows
/// it is not read.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut kept, mut padding) = (Vec::with_capacity(text.len()), 0);
    for byte in text.bytes() {
        match byte {
            b'=' => {
                padding += 1;
                if kept.len() % 4 >= 2 && kept.len() % 4 + padding >= 4 {
                    return DECODER.decode(kept).ok();
                }
            }
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') => {
                padding = 0;
                kept.push(byte);
            }
            _ => {}
        }
    }
    if kept.len() % 4 == 0 {
        DECODER.decode(kept).ok()
    } else {
        None
    }
}

/// Whether a link points into the server's own network, by its host alone.
fn is_local(link: &str) -> bool {
    let rest = link.split_once("://").map_or(link, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.split_once(']'))
        .map_or_else(
            || host.split(':').next().unwrap_or_default(),
            |(address, _)| address,
        );
    match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => {
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
        }
        Ok(std::net::IpAddr::V6(address)) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// PNG files are decoded. Of JPEG and WebP files only the size is read; their content is made up.
fn read(file: &[u8]) -> Option<InputPicture> {
    if file.starts_with(b"\x89PNG") {
        return read_png(file);
    }
    let (width, height) = jpeg_size(file).or_else(|| webp_size(file))?;
    // A scene has at least one block of 8 pixels.
    let scene = Scene::new(&file, width.max(8), height.max(8), 1);
    Some(InputPicture {
        picture: scene.draw(1).resized(width, height),
        texts: Vec::new(),
    })
}

fn read_png(file: &[u8]) -> Option<InputPicture> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    let frame = reader.next_frame(&mut pixels).ok()?;
    pixels.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        png::ColorType::Rgb => pixels,
        png::ColorType::Rgba => pixels
            .chunks(4)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
            .collect(),
        png::ColorType::Grayscale => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        png::ColorType::GrayscaleAlpha => pixels.chunks(2).flat_map(|pixel| [pixel[0]; 3]).collect(),
        png::ColorType::Indexed => return None,
    };
    let _ = reader.finish(); // texts may follow the pixels
    let info = reader.info();
    let latin = info
        .uncompressed_latin1_text
        .iter()
        .map(|chunk| (chunk.keyword.clone(), chunk.text.clone()));
    let utf8 = info
        .utf8_text
        .iter()
        .filter_map(|chunk| Some((chunk.keyword.clone(), chunk.get_text().ok()?)));
    let texts = latin.chain(utf8).collect();
    Some(InputPicture {
        picture: Picture {
            width: frame.width,
            height: frame.height,
            pixels,
        },
        texts,
    })
}

/// The size in a JPEG's frame header.
fn jpeg_size(file: &[u8]) -> Option<(u32, u32)> {
    let mut rest = file.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, marker, high, low, tail @ ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if matches!(marker, 0xc0..=0xc3) {
            let [_, h1, h2, w1, w2, ..] = tail else {
                return None;
            };
            return Some((
                u16::from_be_bytes([*w1, *w2]).into(),
                u16::from_be_bytes([*h1, *h2]).into(),
            ));
        }
        rest = rest.get(2 + length.max(2)..)?;
    }
}

/// The size in a WebP's first chunk.
fn webp_size(file: &[u8]) -> Option<(u32, u32)> {
    let body = file.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WEBP")?;
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0_u32, |sum, &byte| sum << 8 | u32::from(byte))
    };
    match body.get(..4)? {
        b"VP8X" => Some((number(body.get(12..15)?) + 1, number(body.get(15..18)?) + 1)),
        b"VP8L" => {
            let bits = number(body.get(9..13)?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((
            number(body.get(14..16)?) & 0x3fff,
            number(body.get(16..18)?) & 0x3fff,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn refusal(encoded: &str) -> String {
        match decode(Profile::V1_10_1, encoded) {
            Err(Failure::Deliberate(StatusCode::INTERNAL_SERVER_ERROR, text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_png_comes_back_with_its_pixels_and_texts() {
        let picture = Scene::new(&"x", 16, 8, 1).draw(1);
        let file = STANDARD.encode(crate::file::png(&picture, Some("a text")));
        for encoded in [file.clone(), format!("data:image/png;base64,{file}")] {
            let source = decode(Profile::V1_10_1, &encoded).expect("a picture");
            assert_eq!(source.picture, picture);
            assert_eq!(source.texts, [("parameters".to_owned(), "a text".to_owned())]);
        }
    }

    #[test]
    fn base64_without_its_padding_is_refused_and_stray_characters_are_skipped() {
        assert_eq!(base64("aGVs bG8\n=").as_deref(), Some(&b"hello"[..]));
        assert_eq!(base64("aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(base64("aGVsbG8"), None);
        assert_eq!(base64("aGVsbG8=ignored").as_deref(), Some(&b"hello"[..]));
    }

    #[test]
    fn a_jpeg_of_one_pixel_is_a_picture_of_one_pixel() {
        let jpeg = crate::file::encode(&Picture::plain(1, 1, [9; 3]), "jpg", None).expect("a file");
        let source = decode(Profile::V1_10_1, &STANDARD.encode(jpeg)).expect("a picture");
        assert_eq!((source.picture.width, source.picture.height), (1, 1));
    }

    #[test]
    fn what_is_no_picture_is_refused_in_the_servers_words() {
        for bad in ["!!!notbase64", "", "aGVsbG8=", "aGVsbG8"] {
            assert_eq!(refusal(bad), "Invalid encoded image");
        }
        for local in [
            "http://127.0.0.1:1/x.png",
            "http://localhost/x",
            "https://192.168.1.4/x",
            "http://[::1]/x",
        ] {
            assert_eq!(refusal(local), "Request to local resource not allowed");
        }
        assert_eq!(refusal("https://example.com/x.png"), "Invalid image url");
        assert!(matches!(
            decode_value(Profile::V1_10_1, &Value::Null),
            Err(Failure::Unexpected { text, .. }) if text == "'NoneType' object has no attribute 'startswith'"
        ));
    }
}
