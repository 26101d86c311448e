//! Kinds of picture files, recognised by their first bytes.

/// A kind of picture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PictureKind {
    Png,
    Jpeg,
    WebP,
    /// A kind that the WebUI may read but never writes.
    Other,
}

impl PictureKind {
    /// Recognises a file by its first bytes. `None` if it is no picture.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        // By hand, because a library such as infer tells these kinds apart and more, and sd-worker would still have to map
        // them to the four that it treats differently.
        let riff = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
        // AVIF and HEIC
        let boxed = bytes.get(4..8) == Some(b"ftyp");
        let other: [&[u8]; 5] = [b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\x01\0"];
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if riff {
            Some(Self::WebP)
        } else if boxed || other.iter().any(|start| bytes.starts_with(start)) {
            Some(Self::Other)
        } else {
            None
        }
    }

    /// The extension of such files.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Other => "bin",
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Other => "application/octet-stream",
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        assert_eq!(PictureKind::of(b"\x89PNG\r\n\x1a\n\0\0"), Some(PictureKind::Png));
        assert_eq!(PictureKind::of(b"\xff\xd8\xff\xe0"), Some(PictureKind::Jpeg));
        assert_eq!(
            PictureKind::of(b"RIFF\x10\0\0\0WEBPVP8L"),
            Some(PictureKind::WebP)
        );
        assert_eq!(PictureKind::of(b"\0\0\0\x1cftypavif"), Some(PictureKind::Other));
        for none in [&b""[..], b"<html>", b"{}", b"RIFF\0\0\0\0WAVE"] {
            assert_eq!(PictureKind::of(none), None);
        }
    }
}
