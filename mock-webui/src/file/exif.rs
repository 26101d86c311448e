//! The `UserComment` of an EXIF block, where JPEG and WebP files keep the infotext.

const EXIF_IFD_POINTER: u16 = 0x8769;
const USER_COMMENT: u16 = 0x9286;
const LONG: u16 = 4;
const UNDEFINED: u16 = 7;

/// A TIFF block whose only content is this comment, in UTF-16 with the marker that names it so.
pub(crate) fn user_comment(text: &str) -> Vec<u8> {
    let mut comment = b"UNICODE\0".to_vec();
    comment.extend(text.encode_utf16().flat_map(u16::to_be_bytes));

    let mut block = b"MM\0\x2a\0\0\0\x08".to_vec();
    let exif_at: u32 = 8 + 2 + 12 + 4; // after the header and the first directory
    directory(&mut block, EXIF_IFD_POINTER, LONG, 1, exif_at);
    let length = u32::try_from(comment.len()).unwrap_or(u32::MAX);
    directory(&mut block, USER_COMMENT, UNDEFINED, length, exif_at + 2 + 12 + 4);
    block.extend(comment);
    block
}

/// A directory with one entry and no successor.
fn directory(block: &mut Vec<u8>, tag: u16, kind: u16, count: u32, value: u32) {
    block.extend(1_u16.to_be_bytes());
    block.extend(tag.to_be_bytes());
    block.extend(kind.to_be_bytes());
    block.extend(count.to_be_bytes());
    block.extend(value.to_be_bytes());
    block.extend(0_u32.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_lies_where_the_directories_point() {
        let block = user_comment("é");
        let number = |at: usize| u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
        let exif_at = number(10 + 8) as usize;
        assert_eq!(block[exif_at + 2..exif_at + 4], USER_COMMENT.to_be_bytes());
        let (count, at) = (number(exif_at + 6) as usize, number(exif_at + 10) as usize);
        assert_eq!(&block[at..at + count], b"UNICODE\0\x00\xe9");
        assert_eq!(at + count, block.len());
    }
}
