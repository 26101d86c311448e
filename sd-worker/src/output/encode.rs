//! Re-encodes a picture in a format that takes fewer bytes.
//!
//! WebP is lossless, so the pixels stay the same. JPEG is lossy and has no transparency. Both have eight bits per channel
//! at most, so a picture with sixteen stays as it is. Texts in the file, such as the infotext, are lost in both.

use std::io::Cursor;

use image_webp::{WebPDecoder, WebPEncoder};
use png::Transformations;

use crate::picture::PictureKind;

/// The most pixels of a picture that is re-encoded: 8192 × 8192. A file of some kilobytes can claim to have billions, and
/// memory is taken for what it claims. With four pictures at once it is 1 GiB at most.
const MOST_PIXELS: u64 = 1 << 26;

/// The format to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    WebP,
    Jpeg {
        /// 1 to 100.
        quality: u8,
    },
}

/// Why a picture stays as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    #[error("it is JPEG already, or nothing that can be read here")]
    NotFrom,
    #[error("it has sixteen bits for each channel, of which half would be lost")]
    Deep,
    #[error("it cannot be read: {0}")]
    Png(#[from] png::DecodingError),
    #[error("it cannot be read: {0}")]
    WebP(#[from] image_webp::DecodingError),
    #[error("it has {width}×{height} pixels, more than {MOST_PIXELS}")]
    TooManyPixels { width: u32, height: u32 },
    #[error("it is too large for the format")]
    TooLarge,
    #[error("it cannot be written: {0}")]
    Write(Box<dyn std::error::Error + Send + Sync>),
}

/// Decoded pixels with eight bits per channel.
struct Pixels {
    data: Vec<u8>,
    width: u32,
    height: u32,
    channels: Channels,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channels {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
}

impl Encoding {
    pub(super) fn kind(self) -> PictureKind {
        match self {
            Self::WebP => PictureKind::WebP,
            Self::Jpeg { .. } => PictureKind::Jpeg,
        }
    }

    /// Re-encodes a file. It takes long, so it must not run on the runtime's thread.
    pub(super) fn encode(self, file: &[u8]) -> Result<Vec<u8>, EncodeError> {
        let pixels = match (PictureKind::of(file), self) {
            (Some(PictureKind::Png), _) => Pixels::of_png(file)?,
            (Some(PictureKind::WebP), Self::Jpeg { .. }) => Pixels::of_webp(file)?,
            _ => return Err(EncodeError::NotFrom),
        };
        match self {
            Self::WebP => pixels.webp(),
            Self::Jpeg { quality } => pixels.jpeg(quality),
        }
    }
}

impl Pixels {
    fn of_png(file: &[u8]) -> Result<Self, EncodeError> {
        let mut decoder = png::Decoder::new(Cursor::new(file));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let (width, height) = reader.info().size();
        check_pixels(width, height)?;
        if reader.info().bit_depth == png::BitDepth::Sixteen {
            return Err(EncodeError::Deep);
        }
        let size = reader.output_buffer_size().ok_or(EncodeError::TooLarge)?;
        let mut data = vec![0; size];
        let frame = reader.next_frame(&mut data)?;
        data.truncate(frame.buffer_size());
        Ok(Self {
            data,
            width: frame.width,
            height: frame.height,
            channels: match frame.color_type {
                png::ColorType::Grayscale => Channels::Grey,
                png::ColorType::GrayscaleAlpha => Channels::GreyAlpha,
                png::ColorType::Rgba => Channels::Rgba,
                // A palette is expanded.
                png::ColorType::Rgb | png::ColorType::Indexed => Channels::Rgb,
            },
        })
    }

    fn of_webp(file: &[u8]) -> Result<Self, EncodeError> {
        let mut decoder = WebPDecoder::new(Cursor::new(file))?;
        let (width, height) = decoder.dimensions();
        check_pixels(width, height)?;
        let mut data = vec![0; decoder.output_buffer_size().ok_or(EncodeError::TooLarge)?];
        decoder.read_image(&mut data)?;
        let channels = if decoder.has_alpha() {
            Channels::Rgba
        } else {
            Channels::Rgb
        };
        Ok(Self {
            data,
            width,
            height,
            channels,
        })
    }

    fn webp(self) -> Result<Vec<u8>, EncodeError> {
        use image_webp::ColorType;
        let color = match self.channels {
            Channels::Grey => ColorType::L8,
            Channels::GreyAlpha => ColorType::La8,
            Channels::Rgb => ColorType::Rgb8,
            Channels::Rgba => ColorType::Rgba8,
        };
        let mut file = Vec::new();
        WebPEncoder::new(&mut file)
            .encode(&self.data, self.width, self.height, color)
            .map_err(|error| EncodeError::Write(error.into()))?;
        Ok(file)
    }

    fn jpeg(mut self, quality: u8) -> Result<Vec<u8>, EncodeError> {
        use jpeg_encoder::ColorType;
        let side = |length: u32| u16::try_from(length).map_err(|_| EncodeError::TooLarge);
        let (width, height) = (side(self.width)?, side(self.height)?);
        let color = match self.channels {
            Channels::Grey => ColorType::Luma,
            Channels::GreyAlpha => {
                self.data = self.data.into_iter().step_by(2).collect();
                ColorType::Luma
            }
            Channels::Rgb => ColorType::Rgb,
            Channels::Rgba => ColorType::Rgba,
        };
        let mut file = Vec::new();
        jpeg_encoder::Encoder::new(&mut file, quality)
            .encode(&self.data, width, height, color)
            .map_err(|error| EncodeError::Write(error.into()))?;
        Ok(file)
    }
}

fn check_pixels(width: u32, height: u32) -> Result<(), EncodeError> {
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(EncodeError::TooManyPixels { width, height });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = include_bytes!("../../../tests/fixtures/webui/v1.10.1/txt2img-minimal.png");

    fn png(color: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 2, 2);
        encoder.set_color(color);
        encoder.set_depth(depth);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        file
    }

    #[test]
    fn webp_keeps_every_pixel() {
        let webp = Encoding::WebP.encode(PNG).unwrap();
        assert_eq!(PictureKind::of(&webp), Some(PictureKind::WebP));
        let (before, after) = (Pixels::of_png(PNG).unwrap(), Pixels::of_webp(&webp).unwrap());
        assert_eq!((before.width, before.height), (after.width, after.height));
        assert!(before.data == after.data);
    }

    #[test]
    fn jpeg_takes_fewer_bytes_for_less_quality() {
        let sizes = [100, 80, 20].map(|quality| {
            let jpeg = Encoding::Jpeg { quality }.encode(PNG).unwrap();
            assert_eq!(PictureKind::of(&jpeg), Some(PictureKind::Jpeg));
            jpeg.len()
        });
        assert!(sizes.is_sorted_by(|one, next| one > next), "{sizes:?}");
        // A WebP can be the source as well.
        let webp = Encoding::WebP.encode(PNG).unwrap();
        let jpeg = |file: &[u8]| Encoding::Jpeg { quality: 90 }.encode(file).unwrap();
        assert!(jpeg(&webp) == jpeg(PNG));
    }

    #[test]
    fn every_kind_of_png_can_be_written() {
        use png::{BitDepth, ColorType};
        for file in [
            png(ColorType::Grayscale, BitDepth::Eight, &[0, 9, 200, 255]),
            png(
                ColorType::GrayscaleAlpha,
                BitDepth::Eight,
                &[0, 9, 1, 9, 2, 9, 3, 9],
            ),
            png(ColorType::Grayscale, BitDepth::Four, &[0x0f, 0xf0]),
            png(ColorType::Rgb, BitDepth::Eight, &[7; 12]),
            png(ColorType::Rgba, BitDepth::Eight, &[7; 16]),
        ] {
            for encoding in [Encoding::WebP, Encoding::Jpeg { quality: 90 }] {
                let written = encoding.encode(&file).unwrap();
                assert_eq!(PictureKind::of(&written), Some(encoding.kind()));
            }
        }
    }

    #[test]
    fn sixteen_bits_are_not_made_eight() {
        let deep = png(png::ColorType::Rgb, png::BitDepth::Sixteen, &[7; 24]);
        for encoding in [Encoding::WebP, Encoding::Jpeg { quality: 90 }] {
            assert!(matches!(encoding.encode(&deep), Err(EncodeError::Deep)));
        }
    }

    fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&kind[..], &length, body].concat()
    }

    /// The first bytes of a WebP of this size. An extended one has it twice.
    fn webp_of(width: u32, height: u32, is_extended: bool) -> Vec<u8> {
        let size = (width - 1) | ((height - 1) << 14);
        let mut chunks = chunk(*b"VP8L", &[&[0x2f][..], &size.to_le_bytes(), &[0; 3]].concat());
        if is_extended {
            let three = |length: u32| (length - 1).to_le_bytes()[..3].to_vec();
            let size = [vec![0; 4], three(width), three(height)].concat();
            chunks = [chunk(*b"VP8X", &size), chunks].concat();
        }
        chunk(*b"RIFF", &[&b"WEBP"[..], &chunks].concat())
    }

    #[test]
    fn no_memory_is_taken_for_the_size_that_a_file_claims() {
        let claims = |width: u32, height: u32| {
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, width, height);
            encoder.set_color(png::ColorType::Rgba);
            let mut writer = encoder.write_header().unwrap();
            writer.write_chunk(png::chunk::IDAT, &[0x78, 0x9c]).unwrap();
            drop(writer);
            file
        };
        let jpeg = Encoding::Jpeg { quality: 90 };
        for (width, height) in [(60_000, 60_000), (8193, 8192), (1, (1 << 26) + 1)] {
            for encoding in [Encoding::WebP, jpeg] {
                let error = encoding.encode(&claims(width, height)).unwrap_err();
                assert!(matches!(error, EncodeError::TooManyPixels { .. }), "{error}");
            }
        }
        // At the limit it is read, and found to be broken.
        let error = jpeg.encode(&claims(8192, 8192)).unwrap_err();
        assert!(matches!(error, EncodeError::Png(_)), "{error}");
        for file in [webp_of(16_383, 16_383, false), webp_of(16_383, 60_000, true)] {
            let error = jpeg.encode(&file).unwrap_err();
            assert!(matches!(error, EncodeError::TooManyPixels { .. }), "{error}");
        }
    }

    #[test]
    fn what_can_t_be_read_or_is_jpeg_already_stays() {
        let jpeg = Encoding::Jpeg { quality: 90 }.encode(PNG).unwrap();
        for file in [&b"\x89PNG\r\n\x1a\n"[..], &PNG[..100], b"GIF89a", &jpeg] {
            assert!(Encoding::Jpeg { quality: 90 }.encode(file).is_err());
            assert!(Encoding::WebP.encode(file).is_err());
        }
    }
}
