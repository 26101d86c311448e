//! Picture files with the infotext inside: PNG, JPEG, WebP (§6).

mod exif;
mod lossy;
mod png;

use http::StatusCode;

use crate::answer::Failure;
use crate::gpu::picture::Picture;
pub(crate) use png::write as png;

/// Writes a picture in the format that the setting `samples_format` names.
pub(crate) fn encode(picture: &Picture, format: &str, parameters: Option<&str>) -> Result<Vec<u8>, Failure> {
    match format.to_lowercase().as_str() {
        "png" => Ok(png::write(picture, parameters)),
        "jpg" | "jpeg" => lossy::jpeg(picture, parameters),
        "webp" => lossy::webp(picture, parameters),
        _ => Err(Failure::deliberate(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Invalid image format",
        )),
    }
}
