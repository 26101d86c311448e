//! The aggregate of a stream.

use crate::json::RawJson;

/// All chunks of a stream as one JSON list, if the result is to have it; otherwise an empty list.
pub(super) struct ChunkList {
    wanted: bool,
    text: Vec<u8>,
}

impl ChunkList {
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            text: b"[".to_vec(),
        }
    }

    pub(super) fn add(&mut self, chunk: &RawJson) {
        if self.wanted {
            if self.text.len() > 1 {
                self.text.push(b',');
            }
            self.text.extend_from_slice(chunk.as_bytes());
        }
    }

    pub(super) fn finish(mut self) -> RawJson {
        self.text.push(b']');
        RawJson::trusted(self.text.into())
    }
}
