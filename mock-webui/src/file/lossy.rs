//! JPEG and WebP files.

use std::fmt::Display;

use super::exif::user_comment;
use crate::answer::Failure;
use crate::gpu::picture::Picture;

/// The server's default for the setting `jpeg_quality`.
const QUALITY: u8 = 80;

/// Writes a JPEG with the text in its EXIF block.
pub(crate) fn jpeg(picture: &Picture, parameters: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, QUALITY);
    if let Some(text) = parameters {
        let mut segment = b"Exif\0\0".to_vec();
        segment.extend(user_comment(text));
        encoder.add_app_segment(1, segment).map_err(unwritable)?;
    }
    let side = |length: u32| u16::try_from(length).unwrap_or(0); // refused by the encoder
    encoder
        .encode(
            &picture.pixels,
            side(picture.width),
            side(picture.height),
            jpeg_encoder::ColorType::Rgb,
        )
        .map_err(unwritable)?;
    Ok(file)
}

/// Writes a lossless WebP with the text in its EXIF chunk.
pub(crate) fn webp(picture: &Picture, parameters: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut file = Vec::new();
    let mut encoder = image_webp::WebPEncoder::new(&mut file);
    if let Some(text) = parameters {
        encoder.set_exif_metadata(user_comment(text));
    }
    encoder
        .encode(
            &picture.pixels,
            picture.width,
            picture.height,
            image_webp::ColorType::Rgb8,
        )
        .map_err(unwritable)?;
    Ok(file)
}

/// Too large for the format.
fn unwritable(error: impl Display) -> Failure {
    Failure::unexpected(
        "OSError",
        format!("encoder error when writing image file: {error}"),
    )
}
