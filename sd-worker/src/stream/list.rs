//! The size of the list of all chunks, which has the limit of any result.

use runpod_sdk::json::RawJson;

/// The bytes of an empty list as an output.
const EMPTY: usize = r#"{"output": []}"#.len();

/// The room that is left in the list of all chunks.
#[derive(Debug)]
pub(super) struct ChunkList {
    left: usize,
}

impl ChunkList {
    /// An empty list of a result with at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            left: limit.saturating_sub(EMPTY),
        }
    }

    /// The most bytes of the next chunk.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Adds a chunk and the comma behind it.
    pub(super) fn add(&mut self, chunk: &RawJson) {
        self.left = self.left.saturating_sub(chunk.len() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_as_large_as_what_is_left_fills_the_result() {
        let (limit, first) = (100, RawJson::null());
        let mut list = ChunkList::new(limit);
        list.add(&first);
        let rest = RawJson::parse(format!("\"{}\"", "x".repeat(list.left() - 2))).unwrap();
        let all = RawJson::parse(format!("[{},{}]", first.as_str(), rest.as_str())).unwrap();
        assert_eq!(all.len_as_output(), limit);
        list.add(&rest);
        assert_eq!(list.left(), 0);
    }
}
