//! Kinds of picture and video files, recognised by their first bytes.
//!
//! By hand, because a library such as `infer` knows no more of them, and sd-worker would still have to map its answers to
//! the kinds that it treats differently.

/// The bytes at the start of a file that are enough to recognise it.
pub(crate) const ENOUGH: usize = 48;

/// Declares the kinds: name, extension, media type, and whether it is a picture, not a video.
macro_rules! kinds {
    ($($name:ident = $extension:literal, $media_type:literal, picture $picture:literal;)*) => {
        /// A kind of picture or video file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum PictureKind {
            $(#[doc = $media_type] $name,)*
        }

        impl PictureKind {
            /// The extension of such files.
            pub(crate) const fn extension(self) -> &'static str {
                match self {
                    $(Self::$name => $extension,)*
                }
            }

            pub(crate) const fn media_type(self) -> &'static str {
                match self {
                    $(Self::$name => $media_type,)*
                }
            }

            /// Whether it is a picture, not a video.
            pub(crate) const fn is_picture(self) -> bool {
                match self {
                    $(Self::$name => $picture,)*
                }
            }
        }
    };
}

kinds! {
    Png = "png", "image/png", picture true;
    Jpeg = "jpg", "image/jpeg", picture true;
    WebP = "webp", "image/webp", picture true;
    Gif = "gif", "image/gif", picture true;
    Avif = "avif", "image/avif", picture true;
    Heic = "heic", "image/heic", picture true;
    Jxl = "jxl", "image/jxl", picture true;
    Bmp = "bmp", "image/bmp", picture true;
    Tiff = "tif", "image/tiff", picture true;
    Icon = "ico", "image/x-icon", picture true;
    Mp4 = "mp4", "video/mp4", picture false;
    QuickTime = "mov", "video/quicktime", picture false;
    WebM = "webm", "video/webm", picture false;
    Matroska = "mkv", "video/x-matroska", picture false;
    Avi = "avi", "video/x-msvideo", picture false;
}

impl PictureKind {
    /// Recognises a file by its first bytes. `None` if it is neither picture nor video.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        const STARTS: &[(&[u8], PictureKind)] = &[
            (b"\x89PNG\r\n\x1a\n", PictureKind::Png),
            (b"\xff\xd8\xff", PictureKind::Jpeg),
            (b"GIF8", PictureKind::Gif),
            (b"II*\0", PictureKind::Tiff),
            (b"MM\0*", PictureKind::Tiff),
            (b"\0\0\x01\0", PictureKind::Icon),
            (b"\xff\x0a", PictureKind::Jxl),
            (b"\0\0\0\x0cJXL \r\n\x87\n", PictureKind::Jxl),
            (b"BM", PictureKind::Bmp),
        ];
        let part = |range: std::ops::Range<usize>| bytes.get(range).unwrap_or_default();
        if bytes.starts_with(b"RIFF") {
            return match part(8..12) {
                b"WEBP" => Some(Self::WebP),
                b"AVI " => Some(Self::Avi),
                _ => None,
            };
        }
        if part(4..8) == b"ftyp" {
            return Some(match part(8..12) {
                b"avif" | b"avis" => Self::Avif,
                b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1" => Self::Heic,
                b"qt  " => Self::QuickTime,
                _ => Self::Mp4,
            });
        }
        if bytes.starts_with(b"\x1a\x45\xdf\xa3") {
            let is_webm = part(0..ENOUGH.min(bytes.len()))
                .windows(4)
                .any(|part| part == b"webm");
            return Some(if is_webm { Self::WebM } else { Self::Matroska });
        }
        STARTS
            .iter()
            .find(|(start, _)| bytes.starts_with(start))
            .map(|(_, kind)| *kind)
    }

    /// Width and height. Known for PNG alone.
    pub(crate) fn size(self, bytes: &[u8]) -> Option<(u32, u32)> {
        let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        match self {
            Self::Png => Some((number(16)?, number(20)?)),
            _ => None,
        }
    }
}

/// What a file that begins with `start` and has `len` bytes is, for messages: `text/html, 4 KB`.
pub(crate) fn describe(start: &[u8], len: usize) -> String {
    if len == 0 {
        return "an empty file".to_owned();
    }
    let kind = PictureKind::of(start).map_or_else(|| media_type_of_text(start), PictureKind::media_type);
    let size = match len {
        0..1000 => format!("{len} bytes"),
        1000..1_000_000 => format!("{} KB", (len + 500) / 1000),
        _ => format!("{} MB", (len + 500_000) / 1_000_000),
    };
    format!("{kind}, {size}")
}

fn media_type_of_text(start: &[u8]) -> &'static str {
    const LONGEST_START: usize = 512;
    if start.starts_with(b"%PDF-") {
        return "application/pdf";
    }
    if start.starts_with(b"PK\x03\x04") {
        return "application/zip";
    }
    let start = String::from_utf8_lossy(&start[..start.len().min(LONGEST_START)]).to_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    let begins = |starts: &[&str]| starts.iter().any(|begin| start.starts_with(begin));
    if begins(&[
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<script",
        "<title",
        "<!--",
    ]) {
        "text/html"
    } else if start.contains("<svg") {
        "image/svg+xml"
    } else if begins(&["<"]) {
        "text/xml"
    } else if begins(&["{", "["]) {
        "application/json"
    } else if start.contains(|character: char| {
        character == char::REPLACEMENT_CHARACTER || (character.is_control() && !character.is_whitespace())
    }) {
        "application/octet-stream"
    } else {
        "text/plain"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_or_video_is_known_by_its_first_bytes() {
        for (start, extension, media_type) in [
            (&b"\x89PNG\r\n\x1a\n\0\0"[..], "png", "image/png"),
            (b"\xff\xd8\xff\xe0", "jpg", "image/jpeg"),
            (b"RIFF\x10\0\0\0WEBPVP8L", "webp", "image/webp"),
            (b"GIF89a", "gif", "image/gif"),
            (b"\0\0\0\x1cftypavif", "avif", "image/avif"),
            (b"\0\0\0\x18ftypheic", "heic", "image/heic"),
            (b"\0\0\0\x18ftypisom", "mp4", "video/mp4"),
            (b"\0\0\0\x18ftypmp42", "mp4", "video/mp4"),
            (b"\0\0\0\x14ftypqt  ", "mov", "video/quicktime"),
            (
                b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm",
                "webm",
                "video/webm",
            ),
            (
                b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x88matroska",
                "mkv",
                "video/x-matroska",
            ),
            (b"RIFF\x10\0\0\0AVI LIST", "avi", "video/x-msvideo"),
            (b"BM6\0\0\0\0\0\0\0", "bmp", "image/bmp"),
            (b"II*\0\x08\0\0\0", "tif", "image/tiff"),
        ] {
            let kind = PictureKind::of(start).unwrap();
            assert_eq!((kind.extension(), kind.media_type()), (extension, media_type));
            assert_eq!(kind.is_picture(), media_type.starts_with("image/"));
        }
        for none in [&b""[..], b"<html>", b"{}", b"RIFF\0\0\0\0WAVE"] {
            assert_eq!(PictureKind::of(none), None);
        }
    }

    #[test]
    fn what_is_no_picture_is_described() {
        let page = [b"\n<!DOCTYPE html><html>".as_slice(), &[b' '; 4000]].concat();
        assert_eq!(describe(&page, page.len()), "text/html, 4 KB");
        assert_eq!(describe(b"<Html>", 6), "text/html, 6 bytes");
        assert_eq!(describe(b"{\"error\": 1}", 12), "application/json, 12 bytes");
        assert_eq!(describe(b"Access denied", 13), "text/plain, 13 bytes");
        assert_eq!(
            describe(b"\0\x01\x02", 2_400_000),
            "application/octet-stream, 2 MB"
        );
        assert_eq!(describe(b"\0\0\0\x18ftypisom", 2000), "video/mp4, 2 KB");
        assert_eq!(describe(b"", 0), "an empty file");
    }
}
