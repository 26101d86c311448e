//! How a stub hands work to the gate.
//!
//! Wiremock answers at once and under a lock. A stub whose answer takes time, or whose body is large, puts
//! the work on the desk and answers with the number of a ticket in a header. The gate redeems it, once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderValue;

use crate::answer::Answer;
use crate::faults::Trouble;

/// The header that carries a ticket from a stub to the gate. It never leaves the process.
pub(crate) const TICKET: &str = "x-mock-webui-ticket";

/// The header that marks an answer of our own stubs, as opposed to one that a test has put over them.
/// Its value tells whether the answer gets an `x-process-time`.
pub(crate) const OWN: &str = "x-mock-webui-own";

/// Work that makes an answer from the body of the request and the faults that hit it.
pub(crate) type Work = Box<dyn FnOnce(Bytes, Trouble) -> BoxFuture<'static, Answer> + Send>;

/// The work that waits to be picked up.
#[derive(Clone, Default)]
pub(crate) struct Desk {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    work: HashMap<u64, Work>,
}

impl Desk {
    /// Deposits work and returns the number to redeem it with.
    pub(crate) fn deposit(&self, work: Work) -> u64 {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.last += 1;
        let number = waiting.last;
        waiting.work.insert(number, work);
        number
    }

    /// The work behind a ticket; `None` when it is unknown or was redeemed before.
    pub(crate) fn redeem(&self, ticket: &HeaderValue) -> Option<Work> {
        let number = ticket.to_str().ok()?.parse().ok()?;
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .work
            .remove(&number)
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Desk").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ticket_is_redeemed_once() {
        let desk = Desk::default();
        let number = desk.deposit(Box::new(|_, _| Box::pin(async { Answer::null() })));
        let ticket = HeaderValue::from(number);
        let work = desk.redeem(&ticket).expect("deposited above");
        assert_eq!(work(Bytes::new(), Trouble::default()).await.body, "null");
        assert!(desk.redeem(&ticket).is_none());
        assert!(desk.redeem(&HeaderValue::from_static("nonsense")).is_none());
    }
}
