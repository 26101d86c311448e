//! A record of calls and the statuses of their answers, for tests that compare conversations.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use runpod_protocol::sync::Mutex;

/// Most calls remembered; past it the oldest are dropped.
const KEPT: usize = 10_000;
/// Most bytes of bodies remembered.
const KEPT_BYTES: usize = 256 * 1024 * 1024;

/// One call as the platform received it, and the status it was answered with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedCall {
    /// When it came, on the platform's clock.
    pub at: Duration,
    /// Its method.
    pub method: Method,
    /// Its path and query, as received.
    pub path_and_query: String,
    /// Its headers. The key is among them, but not shown by `Debug`.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The status of its answer.
    pub status: StatusCode,
}

/// The latest calls, in the order of their answers.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Recorded>);

#[derive(Debug, Default)]
struct Recorded {
    calls: VecDeque<RecordedCall>,
    bytes: usize,
}

impl Recorder {
    pub(crate) fn add(&self, call: RecordedCall) {
        let mut recorded = self.0.lock();
        recorded.bytes += call.body.len();
        recorded.calls.push_back(call);
        while recorded.calls.len() > KEPT || recorded.bytes > KEPT_BYTES {
            let Some(oldest) = recorded.calls.pop_front() else {
                return;
            };
            recorded.bytes -= oldest.body.len();
        }
    }

    pub(crate) fn calls(&self) -> Vec<RecordedCall> {
        self.0.lock().calls.iter().cloned().collect()
    }
}
