//! The memory of the simulated card: what is loaded, what has leaked, what is full.

use serde_json::{Value, json};

use crate::answer::Failure;
use crate::faults::ClearedBy;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// The card that the recorded out-of-memory error was about.
const TOTAL: f64 = 23.64;
const SYSTEM: f64 = 0.6;
const MODEL: f64 = 4.0;
const GENERATION: f64 = 3.0;

/// Gigabytes in use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GpuMemory {
    loaded: Option<String>,
    leaked: f64,
    full_until: Option<ClearedBy>,
}

impl GpuMemory {
    pub(crate) fn new(loaded: Option<String>) -> Self {
        Self {
            loaded,
            leaked: 0.0,
            full_until: None,
        }
    }

    /// The title of the checkpoint on the card.
    pub(crate) fn loaded(&self) -> Option<&str> {
        self.loaded.as_deref()
    }

    /// Puts a checkpoint on the card in place of the last one, of which `leak` gigabytes stay behind.
    pub(crate) fn load(&mut self, title: String, leak: f64) {
        if self.loaded.as_ref() != Some(&title) {
            self.leaked += if self.loaded.is_some() { leak } else { 0.0 };
            self.loaded = Some(title);
        }
    }

    /// Takes the checkpoint off the card.
    pub(crate) fn unload(&mut self) {
        self.loaded = None;
        self.full_until = self
            .full_until
            .filter(|cleared_by| *cleared_by != ClearedBy::Unload);
    }

    /// Fills the card until something relieves it.
    pub(crate) fn fill(&mut self, until: ClearedBy) {
        self.full_until = Some(until);
    }

    /// Fails when a generation finds no room.
    pub(crate) fn claim(&self) -> Result<(), Failure> {
        let needed = SYSTEM + MODEL + self.leaked + GENERATION;
        if self.full_until.is_some() || needed > TOTAL {
            return Err(out_of_memory());
        }
        Ok(())
    }

    fn in_use(&self) -> f64 {
        let model = if self.loaded.is_some() { MODEL } else { 0.0 };
        if self.full_until.is_some() {
            TOTAL - SYSTEM
        } else {
            SYSTEM + model + self.leaked
        }
    }

    /// The answer of `GET memory`.
    pub(crate) fn to_json(&self) -> Value {
        let bytes = |gigabytes: f64| json!((gigabytes * GIB).round());
        let used = self.in_use();
        let peaks = |gigabytes: f64| json!({ "current": bytes(gigabytes), "peak": bytes(gigabytes + 1.0) });
        json!({
            "ram": { "free": bytes(20.0), "used": bytes(12.0), "total": bytes(32.0) },
            "cuda": {
                "system": { "free": bytes(TOTAL - used), "used": bytes(used), "total": bytes(TOTAL) },
                "active": peaks(used - SYSTEM),
                "allocated": peaks(used - SYSTEM),
                "reserved": peaks(used - SYSTEM + 0.5),
                "inactive": peaks(0.25),
                "events": { "retries": 0, "oom": u8::from(self.full_until.is_some()) },
            },
        })
    }
}

/// The error of a card whose memory is full, as recorded.
pub(crate) fn out_of_memory() -> Failure {
    Failure::unexpected(
        "OutOfMemoryError",
        "CUDA out of memory. Tried to allocate 9.00 GiB. GPU 0 has a total capacty of 23.64 GiB of which 2.97 \
         GiB is free. Process 41 has 20.66 GiB memory in use. Of the allocated memory 19.62 GiB is allocated by \
         PyTorch, and 569.02 MiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is \
         large try setting max_split_size_mb to avoid fragmentation.  See documentation for Memory Management \
         and PYTORCH_CUDA_ALLOC_CONF",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_card_is_relieved_by_what_the_fault_names() {
        let mut memory = GpuMemory::new(Some("a".to_owned()));
        assert!(memory.claim().is_ok());
        memory.fill(ClearedBy::Unload);
        assert!(memory.claim().is_err());
        memory.unload();
        assert!(memory.claim().is_ok());
        memory.fill(ClearedBy::Restart);
        memory.unload();
        assert!(memory.claim().is_err());
    }

    #[test]
    fn leaks_fill_the_card_switch_by_switch() {
        let mut memory = GpuMemory::new(Some("a".to_owned()));
        let switches = (0..).take_while(|turn| {
            memory.load(if turn % 2 == 0 { "b" } else { "a" }.to_owned(), 4.0);
            memory.claim().is_ok()
        });
        assert_eq!(switches.count(), 4);
        memory.unload();
        assert!(
            memory.claim().is_err(),
            "unloading does not give leaked memory back"
        );
    }
}
