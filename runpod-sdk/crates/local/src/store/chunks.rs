//! The unread chunks of a streaming job.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Chunks in order. Each is read once, unless the reader turns out to be gone and gives it back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunks {
    unread: BTreeMap<u64, Bytes>,
    next: u64,
    bytes: usize,
}

/// Chunks on their way to a reader, with their places in the order.
pub(crate) type TakenChunks = BTreeMap<u64, Bytes>;

impl Chunks {
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        self.unread.insert(self.next, chunk);
        self.next += 1;
    }

    pub(crate) fn take(&mut self) -> TakenChunks {
        self.bytes = 0;
        std::mem::take(&mut self.unread)
    }

    /// Undoes a [`take`](Self::take): the chunks are back where they were.
    pub(crate) fn put_back(&mut self, chunks: TakenChunks) {
        self.bytes += chunks.values().map(Bytes::len).sum::<usize>();
        self.unread.extend(chunks);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.unread.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_given_back_late_return_to_their_places() {
        let mut chunks = Chunks::default();
        chunks.push(Bytes::from("1"));
        let first = chunks.take();
        chunks.push(Bytes::from("22"));
        let second = chunks.take();
        chunks.push(Bytes::from("3"));

        chunks.put_back(first);
        chunks.put_back(second);

        assert_eq!(chunks.bytes(), 4);
        let all: Vec<Bytes> = chunks.take().into_values().collect();
        assert_eq!(all, ["1", "22", "3"]);
        assert_eq!((chunks.len(), chunks.bytes()), (0, 0));
    }
}
