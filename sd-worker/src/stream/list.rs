//! The list of all chunks, which is a result like any other: it has to fit.

use runpod_sdk::json::RawJson;

/// What it takes when it is empty.
const EMPTY: usize = r#"{"output": []}"#.len();

/// How much of the list is taken by the chunks so far.
#[derive(Debug)]
pub(super) struct List {
    left: usize,
}

impl List {
    /// An empty one, of a result that may have so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            left: limit.saturating_sub(EMPTY),
        }
    }

    /// The bytes that the next chunk may have.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Takes the chunk and the comma behind it.
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
        let mut list = List::new(limit);
        list.add(&first);
        let rest = RawJson::parse(format!("\"{}\"", "x".repeat(list.left() - 2))).unwrap();
        let all = RawJson::parse(format!("[{},{}]", first.as_str(), rest.as_str())).unwrap();
        assert_eq!(all.len_as_output(), limit);
        list.add(&rest);
        assert_eq!(list.left(), 0);
    }
}
