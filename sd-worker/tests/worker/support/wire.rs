//! Just enough HTTP/1.1 to read what was really sent.

/// A request or an answer: its head as text, its body as it came.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The first message in `bytes` and its length, once it has come whole.
    pub(crate) fn first(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.parse().unwrap());
        let body = bytes.get(end..end + length)?.to_vec();
        Some((Self { head, body }, end + length))
    }

    pub(crate) fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut messages = Vec::new();
        while let Some((message, length)) = Self::first(bytes) {
            messages.push(message);
            bytes = &bytes[length..];
        }
        messages
    }

    /// `POST /sdapi/v1/txt2img`, or `HTTP/1.1 200`.
    pub(crate) fn start(&self) -> &str {
        let end = self.head.match_indices(' ').nth(1).map_or(0, |(end, _)| end);
        &self.head[..end]
    }
}
