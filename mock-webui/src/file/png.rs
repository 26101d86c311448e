//! PNG files with the infotext inside.

use crate::gpu::picture::Picture;

/// Writes a PNG. The text goes into a `tEXt` chunk named `parameters` right after the header, or into an
/// `iTXt` chunk when it does not fit Latin-1 (§6).
pub(crate) fn write(picture: &Picture, parameters: Option<&str>) -> Vec<u8> {
    encode(picture, parameters).expect("writing a picture with consistent sizes into memory succeeds")
}

fn encode(picture: &Picture, parameters: Option<&str>) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::with_capacity(picture.pixels.len() / 4);
    let mut encoder = png::Encoder::new(&mut file, picture.width, picture.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    if let Some(text) = parameters {
        let keyword = "parameters".to_owned();
        if text.chars().all(|character| u32::from(character) < 256) {
            encoder.add_text_chunk(keyword, text.to_owned())?;
        } else {
            encoder.add_itxt_chunk(keyword, text.to_owned())?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture.pixels)?;
    writer.finish()?;
    Ok(file)
}
