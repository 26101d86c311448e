//! The one table of fault kinds.
//!
//! A row gives a kind its name in JSON, its fields and its description. The enum, the parser, `mock-webui faults` and
//! the table in `docs/mock-webui.md` come from it. What a kind does is decided in `effects.rs`, by a match that names
//! every kind: a row without an effect does not compile.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// A kind of fault as the help and the documentation list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultKindInfo {
    /// The value of `kind` in JSON.
    pub name: &'static str,
    /// The names of its fields in JSON.
    pub fields: &'static [&'static str],
    /// What happens, line by line.
    pub description: &'static [&'static str],
}

macro_rules! fault_kinds {
    ($(
        $(#[doc = $description:literal])+
        $variant:ident = $name:literal $({ $( $(#[$attribute:meta])* $field:ident: $type:ty, )+ })?
    )+) => {
        /// What goes wrong. In a scenario file: the key `kind`, and the fields beside it.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        #[non_exhaustive]
        pub enum FaultKind {
            $(
                $(#[doc = $description])+
                #[serde(rename = $name)]
                $variant $({ $( $(#[$attribute])* $field: $type, )+ })?,
            )+
        }

        impl FaultKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[FaultKindInfo] = &[
                $(FaultKindInfo {
                    name: $name,
                    fields: &[$($(stringify!($field),)+)?],
                    description: &[$($description),+],
                },)+
            ];
        }
    };
}

fault_kinds! {
    /// A proxy in front answers with this status and an HTML page. Nothing is rendered.
    Status = "status" {
        /// 502, 503 and 504 are the ones that proxies use.
        status: u16,
    }
    /// Status 500 and `Internal Server Error` as plain text. Nothing is rendered.
    PlainText500 = "plain-text-500"
    /// The route raises this exception. The answer has the server's own form for it.
    Exception = "exception" {
        /// The class, such as `RuntimeError`.
        class: String,
        /// The text.
        text: String,
    }
    /// The card has no memory left: `OutOfMemoryError`. `until` is `once` (the default), `unload` or `restart`.
    OutOfMemory = "out-of-memory" {
        /// What ends it.
        #[serde(default)]
        until: ClearedBy,
    }
    /// The picture contains NaN: `NansException`, after all steps.
    Nan = "nan"
    /// A render of a picture whose prompt has this text fails with NaN, together with the other pictures of its batch.
    NanFor = "nan-for" {
        /// A part of the prompt.
        text: String,
    }
    /// A batch of more pictures than this runs out of the card's memory.
    OutOfMemoryAbove = "out-of-memory-above" {
        /// The most pictures that the card has room for.
        pictures: usize,
    }
    /// Every change of the checkpoint leaks this much of the card's memory. The card has 23.64 GiB, a model takes 4.
    LeakPerModelSwitch = "leak-per-model-switch" {
        /// GiB lost each time.
        gigabytes: f64,
    }
    /// `LoRA`s of the prompt are not applied, and nothing says so.
    IgnoreLora = "ignore-lora"
    /// These fields of the request have no effect, and nothing says so.
    ForgetFields = "forget-fields" {
        /// Names such as `enable_hr`.
        fields: Vec<String>,
    }
    /// A change of the checkpoint is accepted, and the old one renders.
    WrongModel = "wrong-model"
    /// The port never opens.
    NeverReady = "never-ready"
    /// Lists are answered, renders wait for ever.
    UpButNoModel = "up-but-no-model"
    /// The process dies after `step` steps: connections end, the port closes.
    DieAt = "die-at" {
        /// Steps done before.
        step: u32,
    }
    /// The render stands still after `step` steps until it is interrupted; with `deaf`, until the process ends.
    StallAt = "stall-at" {
        /// Steps done before.
        step: u32,
        /// Whether an interrupt has no effect either.
        #[serde(default)]
        deaf: bool,
    }
    /// Every render occupies this much more of the computer's memory, until the process ends.
    GrowMemory = "grow-memory" {
        /// Megabytes each time.
        megabytes: usize,
    }
    /// The connection ends after `step` steps, and the render goes on.
    DropMidStep = "drop-mid-step" {
        /// Steps done before.
        step: u32,
    }
    /// The connection ends without an answer, after the render.
    DropAfterGenerate = "drop-after-generate"
    /// A complete answer whose JSON stops half-way.
    HalfJson = "half-json"
    /// The connection ends in the middle of the body, short of the announced length.
    CutBody = "cut-body"
    /// Half the body, then silence on an open connection.
    StallBody = "stall-body"
    /// The body a few bytes at a time.
    SlowDrip = "slow-drip" {
        /// Bytes at a time.
        bytes: usize,
        /// Milliseconds between two pieces.
        every_ms: u64,
    }
    /// The server closes its side in the middle of the body and keeps reading.
    HalfClose = "half-close"
    /// Bytes that are not HTTP, in place of the answer.
    Garbage = "garbage"
    /// The route answers this much later: a list on a slow volume.
    SlowAnswer = "slow-answer" {
        /// Milliseconds before the route does anything.
        ms: u64,
    }
    /// The request is carried out, and its answer is 429, as by SD.Next's `server_rate_limit`.
    RateLimit = "rate-limit"
    /// As uvicorn up to 0.27.0.post1: a request sent within 50 ms of the previous answer on its connection loses the
    /// connection when that answer's keep-alive limit expires, unless a request that came after that answer has been
    /// answered meanwhile. The render goes on.
    KeepAliveTimer = "keep-alive-timer"
}

/// What ends a fault of the card's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClearedBy {
    /// Only this request fails.
    #[default]
    Once,
    /// `POST unload-checkpoint`, or a restart.
    Unload,
    /// Only a restart of the program.
    Restart,
}

impl FaultKind {
    /// Every kind as a Markdown table: the one of `docs/mock-webui.md`.
    pub fn table() -> String {
        let mut page = "| kind | fields | what happens |\n|---|---|---|\n".to_owned();
        for FaultKindInfo {
            name,
            fields,
            description,
        } in Self::ALL
        {
            let description = description.concat();
            let description = description.trim();
            let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
            let _ = writeln!(page, "| `{name}` | {} | {description} |", fields.join(", "));
        }
        page
    }
}
