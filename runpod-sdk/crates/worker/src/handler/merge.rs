//! Joins small string chunks that arrive in quick succession: each post costs a round trip, whatever its size.

use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::job::JobError;
use crate::json::RawJson;

/// The longest window: more than any job takes, and within the clock's range.
const LONGEST_WINDOW: Duration = Duration::from_hours(365 * 24);

type Item = Result<RawJson, JobError>;

struct Merging {
    source: stream::Fuse<BoxStream<'static, Item>>,
    window: Duration,
    most_bytes: usize,
    /// The open JSON string (without its closing quote), and the time at which it is emitted.
    open: Option<(Vec<u8>, Instant)>,
    /// The item after the open string that could not be joined to it.
    next: Option<Item>,
}

/// Joins the string chunks of `source`. A chunk waits at most `window`, and no joined chunk exceeds `most_bytes`.
/// Other items, errors included, keep their place.
pub(super) fn merge(
    source: BoxStream<'static, Item>,
    window: Duration,
    most_bytes: usize,
) -> impl Stream<Item = Item> + Send {
    let merging = Merging {
        source: source.fuse(),
        window: window.min(LONGEST_WINDOW),
        most_bytes,
        open: None,
        next: None,
    };
    stream::unfold(merging, |mut merging| async move {
        let item = merging.item().await?;
        Some((item, merging))
    })
}

impl Merging {
    async fn item(&mut self) -> Option<Item> {
        loop {
            let next = match (self.next.take(), &self.open) {
                (Some(next), _) => Some(next),
                (None, None) => self.source.next().await,
                (None, Some((_, until))) => match timeout_at(*until, self.source.next()).await {
                    Ok(next) => next,
                    Err(_) => return self.close(),
                },
            };
            match (next, &mut self.open) {
                (Some(Ok(chunk)), None) if is_text(&chunk) && chunk.len() < self.most_bytes => {
                    let mut text = chunk.as_bytes().to_vec();
                    text.pop();
                    self.open = Some((text, Instant::now() + self.window));
                }
                (next, None) => return next,
                (Some(Ok(chunk)), Some((text, _)))
                    if is_text(&chunk) && text.len() + chunk.len() - 1 <= self.most_bytes =>
                {
                    // The chunk without its quotes.
                    text.extend_from_slice(&chunk.as_bytes()[1..chunk.len() - 1]);
                }
                (next, Some(_)) => {
                    self.next = next;
                    return self.close();
                }
            }
        }
    }

    fn close(&mut self) -> Option<Item> {
        let (mut text, _) = self.open.take()?;
        text.push(b'"');
        Some(Ok(RawJson::trusted(text.into())))
    }
}

/// Whether a chunk is a JSON string.
pub(crate) fn is_text(chunk: &RawJson) -> bool {
    chunk.len() >= 2 && chunk.as_bytes().starts_with(b"\"") && chunk.as_bytes().ends_with(b"\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_millis(50);

    /// A stream of chunks, each after a delay in milliseconds.
    fn spoken(chunks: Vec<(u64, Item)>) -> BoxStream<'static, Item> {
        stream::iter(chunks)
            .then(|(after, chunk)| async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                chunk
            })
            .boxed()
    }

    fn json<T: serde::Serialize>(value: T) -> RawJson {
        RawJson::encode(&value).unwrap()
    }

    async fn merged(chunks: Vec<(u64, Item)>, most_bytes: usize) -> Vec<String> {
        merge(spoken(chunks), WINDOW, most_bytes)
            .map(|chunk| match chunk {
                Ok(chunk) => chunk.as_str().to_owned(),
                Err(error) => format!("error: {}", error.message()),
            })
            .collect()
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn texts_that_come_close_to_each_other_become_one() {
        let chunks = vec![
            (0, Ok(json("a "))),
            (20, Ok(json("\"b\" "))),
            (20, Ok(json("c"))),
            (60, Ok(json("d"))),
        ];
        assert_eq!(merged(chunks, 1000).await, [r#""a \"b\" c""#, r#""d""#]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_text_keeps_its_place_and_so_does_an_error() {
        let chunks = vec![
            (0, Ok(json("a"))),
            (0, Ok(json(1))),
            (0, Ok(json("b"))),
            (0, Ok(json("c"))),
            (0, Err(JobError::message_only("no more"))),
        ];
        assert_eq!(
            merged(chunks, 1000).await,
            [r#""a""#, "1", r#""bc""#, "error: no more"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_text_waits_no_longer_than_the_window() {
        let began = Instant::now();
        let mut chunks = merge(
            spoken(vec![(0, Ok(json("a"))), (40, Ok(json("b"))), (40, Ok(json("c")))]),
            WINDOW,
            1000,
        )
        .boxed();
        chunks.next().await.unwrap().unwrap();
        assert_eq!(began.elapsed(), WINDOW, "counted from its first part");
    }

    #[tokio::test(start_paused = true)]
    async fn with_the_longest_window_there_is_the_bound_alone_counts() {
        let chunks = spoken(vec![(0, Ok(json("a"))), (9000, Ok(json("b")))]);
        let chunks: Vec<_> = merge(chunks, Duration::MAX, 1000).collect().await;
        assert_eq!(chunks.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_is_lost_and_none_is_joined_beyond_the_bound(
            parts in prop::collection::vec((0_u64..80, ".{0,12}"), 0..30),
            most_bytes in 1_usize..60,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all().start_paused(true).build().unwrap();
            let whole: String = parts.iter().map(|(_, part)| part.as_str()).collect();
            let longest = parts.iter().map(|(_, part)| serde_json::to_string(part).unwrap().len()).max();
            let chunks = parts.into_iter().map(|(after, part)| (after, Ok(json(part)))).collect();
            let merged = runtime.block_on(merged(chunks, most_bytes));
            let texts: Vec<String> = merged.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!(texts.concat(), whole);
            for text in merged {
                prop_assert!(text.len() <= most_bytes.max(longest.unwrap_or_default()));
            }
        }
    }
}
