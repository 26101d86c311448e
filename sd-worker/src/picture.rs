//! What kind of picture some bytes are.

/// A kind of picture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Png,
    Jpeg,
    WebP,
    /// One that the WebUI may read but never writes.
    Other,
}

impl Kind {
    /// Looks at the first bytes. `None` for what is no picture.
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

    /// How names of such files end.
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

    /// Width and height, of a PNG.
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
        assert_eq!(Kind::of(b"\x89PNG\r\n\x1a\n\0\0"), Some(Kind::Png));
        assert_eq!(Kind::of(b"\xff\xd8\xff\xe0"), Some(Kind::Jpeg));
        assert_eq!(Kind::of(b"RIFF\x10\0\0\0WEBPVP8L"), Some(Kind::WebP));
        assert_eq!(Kind::of(b"\0\0\0\x1cftypavif"), Some(Kind::Other));
        for none in [&b""[..], b"<html>", b"{}", b"RIFF\0\0\0\0WAVE"] {
            assert_eq!(Kind::of(none), None);
        }
    }
}
