//! The connections to the WebUI.
//!
//! Two servers break a request that follows another one on a kept connection (`docs/protocol/webui-api.md` §1 and §12).
//! uvicorn up to 0.27.0.post1 does not stop the keep-alive timer of an answer for a request that arrives before it has
//! finished that answer, and closes the connection 30 s later in the middle of the request. Forge closes a connection
//! after an unexpected 500 without saying so.
//!
//! So a request goes out on a connection whose last answer was no such error and is surely finished, or on a new one.
//! An answer is surely finished after [`QUIET`], or when the server has answered another request that was sent after
//! it: its event loop ends what it has begun first. Requests that follow each other at once take two connections in turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::{Client, ClientBuilder};

/// After this time the server has surely finished an answer that has arrived (`docs/protocol/webui-api.md` §1).
const QUIET: Duration = Duration::from_millis(50);

/// The connections that are kept between two exchanges.
pub(super) struct Connections {
    new_client: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
    kept: Mutex<Kept<Client>>,
}

/// A connection that carries one exchange: an HTTP client whose pool holds no other. It closes when it is dropped.
pub(super) struct Connection {
    number: u64,
    client: Client,
    home: Arc<Connections>,
}

impl Connections {
    /// `new_client` makes the builder of a client. A quiet connection is kept for `longest`.
    pub(super) fn new(
        new_client: impl Fn() -> ClientBuilder + Send + Sync + 'static,
        longest: Duration,
    ) -> reqwest::Result<Self> {
        let first = new_client().build()?;
        let mut kept = Kept::new(longest);
        kept.waiting.push_back(Waiting::unused(first));
        Ok(Self {
            new_client: Box::new(new_client),
            kept: Mutex::new(kept),
        })
    }

    /// A connection for one exchange. A new one is opened by its request.
    pub(super) fn connection(self: &Arc<Self>) -> reqwest::Result<Connection> {
        let (number, kept) = self.kept.lock().begin(Instant::now());
        let client = match kept {
            Some(client) => client,
            None => (self.new_client)().build()?,
        };
        Ok(Connection {
            number,
            client,
            home: Arc::clone(self),
        })
    }
}

impl Connection {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Keeps the connection for a later exchange: its answer has been read to the end, and is no error after which the
    /// server closes the connection.
    pub(super) fn keep(self) {
        let Self { number, client, home } = self;
        home.kept.lock().end(number, client, Instant::now());
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

/// Connections that wait for their next exchange, in the order in which their answers ended.
struct Kept<C> {
    longest: Duration,
    waiting: VecDeque<Waiting<C>>,
    /// Counts the beginnings and ends of exchanges.
    events: u64,
    /// The latest beginning among the exchanges that have ended.
    latest_beginning: u64,
}

struct Waiting<C> {
    connection: C,
    since: Instant,
    /// The event that was the end of its exchange; `None` before the first one.
    end: Option<u64>,
}

impl<C> Waiting<C> {
    fn unused(connection: C) -> Self {
        Self {
            connection,
            since: Instant::now(),
            end: None,
        }
    }

    /// Whether the server has surely finished its last answer.
    fn is_safe(&self, now: Instant, latest_beginning: u64) -> bool {
        now.duration_since(self.since) >= QUIET || self.end.is_none_or(|end| latest_beginning > end)
    }
}

impl<C> Kept<C> {
    fn new(longest: Duration) -> Self {
        Self {
            longest,
            waiting: VecDeque::new(),
            events: 0,
            latest_beginning: 0,
        }
    }

    /// Begins an exchange: its number, and a connection for it. That is the safe one that was used last, so that the
    /// others become old and are dropped.
    fn begin(&mut self, now: Instant) -> (u64, Option<C>) {
        let is_old = |kept: &Waiting<C>| now.duration_since(kept.since) > self.longest;
        while self.waiting.front().is_some_and(is_old) {
            self.waiting.pop_front();
        }
        self.events += 1;
        let is_safe = |kept: &Waiting<C>| kept.is_safe(now, self.latest_beginning);
        let position = self.waiting.iter().rposition(is_safe);
        let kept = position.and_then(|position| self.waiting.remove(position));
        (self.events, kept.map(|kept| kept.connection))
    }

    /// Ends the exchange that had the number `beginning`, and keeps its connection.
    fn end(&mut self, beginning: u64, connection: C, now: Instant) {
        self.events += 1;
        self.latest_beginning = self.latest_beginning.max(beginning);
        self.waiting.push_back(Waiting {
            connection,
            since: now,
            end: Some(self.events),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(20);

    #[test]
    fn a_connection_is_used_again_after_it_was_quiet_and_before_it_is_old() {
        let mut kept = Kept::new(LONGEST);
        let now = Instant::now();
        let (first, _) = kept.begin(now);
        kept.end(first, "connection", now);
        assert_eq!(kept.begin(now + QUIET / 2).1, None);
        let (second, connection) = kept.begin(now + QUIET);
        assert_eq!(connection, Some("connection"));
        kept.end(second, "connection", now + QUIET);
        assert_eq!(kept.begin(now + 2 * QUIET + LONGEST).1, None, "too old");
    }

    #[test]
    fn requests_that_follow_each_other_at_once_take_two_connections_in_turn() {
        let mut kept = Kept::new(LONGEST);
        let now = Instant::now();
        for connection in ["first", "second"] {
            let (number, none) = kept.begin(now);
            assert_eq!(none, None);
            kept.end(number, connection, now);
        }
        for expected in ["first", "second", "first", "second"] {
            let (number, connection) = kept.begin(now);
            assert_eq!(connection, Some(expected));
            kept.end(number, expected, now);
        }
    }

    #[test]
    fn an_exchange_that_began_before_an_answer_does_not_show_that_the_answer_is_finished() {
        let mut kept = Kept::new(LONGEST);
        let now = Instant::now();
        let (long, _) = kept.begin(now);
        let (short, _) = kept.begin(now);
        kept.end(short, "short", now);
        kept.end(long, "long", now);
        assert_eq!(kept.begin(now).1, None);
    }
}
