//! The response cache (`docs/protocol/request-flow.md`, Improvements wished for). It is on with `--response-cache`.
//!
//! It keeps the WebUI's answer byte for byte, under a hash of the request as it was sent: with fetched pictures and split
//! sampler names. Checks and delivery follow as after a render, so that each job's own options hold. [`repeatable`] decides
//! which answers are kept, [`Changes`] until when, and [`store`] how many.

mod repeatable;
mod store;

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use ring::digest;
use runpod_sdk::json::RawJson;
use runpod_sdk::metrics::types::Counter;
use tracing::{debug, info};

use self::store::Store;
use crate::render::{CacheEpoch, Changes, FinishedRender};
use crate::webui::Call;

/// The approximate bytes of an entry beside its answer.
const ENTRY: u64 = 256;

/// SHA-256 of a request.
type Key = [u8; 32];

/// The cached answers, within a bound of memory.
#[derive(Debug)]
pub(crate) struct Cache {
    kept: Mutex<EpochAnswers>,
    changes: Arc<Changes>,
    lookups: Lookups,
}

/// Answers of one epoch.
#[derive(Debug)]
struct EpochAnswers {
    epoch: CacheEpoch,
    answers: Store<Key, RawJson>,
}

/// Counts hits and misses. Its clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookups {
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
}

/// The place of one request's answer. It stays empty without a cache, and for a request whose answer is not kept.
#[derive(Debug)]
pub(crate) struct CacheSlot(Option<OpenSlot>);

#[derive(Debug)]
struct OpenSlot {
    cache: Arc<Cache>,
    key: Key,
    /// The epoch of the last lookup.
    epoch: CacheEpoch,
    rendered: Option<RawJson>,
}

impl Cache {
    /// The cache holds at most `bound` bytes.
    pub(crate) fn new(bound: u64, changes: Arc<Changes>, lookups: Lookups) -> Self {
        let kept = EpochAnswers {
            epoch: changes.epoch(),
            answers: Store::new(bound),
        };
        Self {
            kept: Mutex::new(kept),
            changes,
            lookups,
        }
    }

    /// The answers of the current epoch.
    fn kept(&self) -> MutexGuard<'_, EpochAnswers> {
        let mut kept = self.kept.lock();
        let epoch = self.changes.epoch();
        if kept.epoch != epoch {
            if !kept.answers.is_empty() {
                info!("the cache is emptied: what renders may have changed");
            }
            kept.answers.clear();
            kept.epoch = epoch;
        }
        kept
    }
}

impl CacheSlot {
    /// The place of the answer to `call`.
    pub(crate) fn of(call: &Call, cache: Option<&Arc<Cache>>) -> Self {
        let Some(cache) = cache else {
            return Self(None);
        };
        let body = match repeatable::body(call) {
            Ok(body) => body,
            Err(why) => {
                debug!("the answer will not be kept: {why}");
                return Self(None);
            }
        };
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(call.method.as_str().as_bytes());
        hash.update(b" ");
        hash.update(call.route.as_bytes());
        hash.update(b"\n");
        hash.update(body.as_bytes());
        let mut key = Key::default();
        key.copy_from_slice(hash.finish().as_ref());
        Self(Some(OpenSlot {
            epoch: cache.changes.epoch(),
            cache: cache.clone(),
            key,
            rendered: None,
        }))
    }

    /// The answer, if it is cached.
    pub(crate) fn answer(&mut self) -> Option<RawJson> {
        self.0.as_mut()?.find()
    }

    /// The answer, if another job has rendered it while this one waited for the GPU. Otherwise it counts as a miss.
    pub(crate) fn answer_with_lease(&mut self) -> Option<RawJson> {
        let open = self.0.as_mut()?;
        let found = open.find();
        if found.is_none() {
            open.cache.lookups.misses.inc();
        }
        found
    }

    /// Notes a rendered answer. It is kept only if its render is known to be complete.
    pub(crate) fn put(&mut self, finished: &FinishedRender) {
        if let Some(open) = &mut self.0
            && finished.verified_complete
        {
            open.rendered = Some(finished.answer.clone());
        }
    }

    /// Keeps the noted answer, which has passed the checks.
    pub(crate) fn keep(self) {
        let Some(OpenSlot {
            cache,
            key,
            epoch,
            rendered: Some(answer),
        }) = self.0
        else {
            return;
        };
        let mut kept = cache.kept();
        // In another epoch the WebUI may have changed during the render.
        if kept.epoch == epoch {
            let weight = ENTRY + answer.len() as u64;
            kept.answers.put(key, answer, weight);
        }
    }
}

impl OpenSlot {
    fn find(&mut self) -> Option<RawJson> {
        let mut kept = self.cache.kept();
        self.epoch = kept.epoch;
        let answer = kept.answers.get(&self.key)?.clone();
        drop(kept);
        self.cache.lookups.hits.inc();
        info!("answered from the cache");
        Some(answer)
    }
}
