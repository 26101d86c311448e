//! Splits a render into requests of one batch each that give the same pictures (`docs/protocol/webui-api.md` §6).
//!
//! The WebUI answers only when all pictures of a request are done. So a request with `n_iter` batches becomes `n_iter`
//! requests. The first has the caller's seed. Its answer reports the seed that was used, and the WebUI's own rule gives
//! those of the later batches.

use runpod_sdk::json::RawJson;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::coerce::{is_true, number};
use crate::output::info;
use crate::render::JobPart;
use crate::splice::{Edits, Object};
use crate::webui::{Call, JobKind};

/// Scripts of the WebUI itself that run for each picture alike. A script of an extension may read all pictures of a
/// request, or draw random numbers once for all.
const FOR_EACH_PICTURE: [&str; 7] = [
    "comments",
    "extra options",
    "hypertile",
    "refiner",
    "sampler",
    "seed",
    "soft inpainting",
];

/// A render as one request or several.
#[derive(Debug)]
pub(super) struct RenderSplit {
    call: Call,
    batches: u32,
    next: u32,
    seeds: Option<Seeds>,
    /// Why several batches stay one request.
    pub(super) in_one: Option<&'static str>,
}

/// The seeds that an answer reports.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Seeds {
    seed: i64,
    #[serde(default)]
    subseed: Option<i64>,
    #[serde(default)]
    subseed_strength: Option<f64>,
    #[serde(default)]
    batch_size: Option<u32>,
}

impl RenderSplit {
    /// Splits a render, if its batches can be rendered apart.
    pub(super) fn of(call: Call) -> Self {
        let (batches, in_one) = match call.body.as_ref().and_then(|body| Object::read(body.as_str())) {
            Some(request) => match (batches(&request), obstacle(call.job_kind, &request)) {
                (batches @ 2.., Some(why)) => (batches.min(1), Some(why)),
                (batches, _) => (batches, None),
            },
            None => (1, None),
        };
        Self {
            call,
            batches,
            next: 0,
            seeds: None,
            in_one,
        }
    }

    /// The next part; `None` if none is left.
    pub(super) fn part(&self) -> Option<JobPart> {
        (self.next < self.batches).then(|| JobPart::new(self.next, self.batches))
    }

    /// The request for the next part. `None` if its seeds are not known.
    pub(super) fn call(&self) -> Option<Call> {
        if self.batches == 1 {
            return Some(self.call.clone());
        }
        let text = self.call.body.as_ref()?.as_str();
        let request = Object::read(text)?;
        let mut edits = Edits::of(text);
        edits.replace(request.get("n_iter")?, "1".to_owned());
        if self.next > 0 {
            let (seed, subseed) = self.seeds?.of_batch(self.next);
            set(&mut edits, text, &request, "seed", seed);
            if let Some(subseed) = subseed {
                set(&mut edits, text, &request, "subseed", subseed);
            }
        }
        Some(self.call.clone().with_body(edits.apply()?))
    }

    /// Whether the answer to the next part has to report seeds for the later ones.
    pub(super) fn wants_seeds(&self) -> bool {
        self.seeds.is_none() && self.next + 1 < self.batches
    }

    /// The part is done, and its answer reports these seeds.
    pub(super) fn done(&mut self, seeds: Option<Seeds>) {
        self.next += 1;
        self.seeds = self.seeds.or(seeds);
    }
}

impl Seeds {
    /// Reads an answer. `None` for seeds below zero, which have another meaning in a request.
    pub(super) fn of(answer: &RawJson) -> Option<Self> {
        let info = info(&Object::read(answer.as_str())?)?;
        let seeds: Self = serde_json::from_str(&info).ok()?;
        (seeds.seed >= 0 && seeds.subseed.is_none_or(|subseed| subseed >= 0)).then_some(seeds)
    }

    /// Seed and variation seed of the first picture of a batch. Variation seeds count up from picture to picture. Seeds do
    /// so unless variations are wanted.
    fn of_batch(self, batch: u32) -> (i64, Option<i64>) {
        let pictures = i64::from(batch) * i64::from(self.batch_size.unwrap_or(1));
        let varied = self.subseed_strength.is_some_and(|strength| strength != 0.0);
        let seed = if varied {
            self.seed
        } else {
            self.seed.saturating_add(pictures)
        };
        (seed, self.subseed.map(|subseed| subseed.saturating_add(pictures)))
    }
}

fn set<'a>(edits: &mut Edits<'a>, text: &'a str, request: &Object<'a>, key: &str, value: i64) {
    match request.get(key) {
        Some(place) => edits.replace(place, value.to_string()),
        None => edits.append(text, key, &value.to_string()),
    }
}

/// The number of batches; 1 for a value that the WebUI does not read as a whole number and refuses itself. It reads `1e9`
/// as one, and `"1e9"` not.
fn batches(request: &Object<'_>) -> u32 {
    let count = match request.decode::<Value>("n_iter") {
        Some(Value::String(text)) => text.trim().parse::<i64>().ok(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is too large becomes the largest"
        )]
        Some(value) => number(&value).map(|count| count as i64),
        None => None,
    };
    u32::try_from(count.unwrap_or(1).max(1)).unwrap_or(u32::MAX)
}

/// Why the batches would differ if they were rendered apart.
fn obstacle(job_kind: JobKind, request: &Object<'_>) -> Option<&'static str> {
    let value = |key| request.decode::<Value>(key);
    let below_zero = |key| {
        // -1 stands for a random seed.
        value(key)
            .as_ref()
            .and_then(number)
            .is_some_and(|seed| seed < -1.0)
    };
    if request
        .decode::<String>("script_name")
        .is_some_and(|name| !name.is_empty())
    {
        Some("a script renders all its pictures in one go")
    } else if value("save_images").as_ref().is_some_and(is_true) {
        Some("with save_images they may get a grid")
    } else if job_kind == JobKind::Img2Img {
        // The VAE's encoder draws it (§14), once for all batches.
        Some("img2img draws noise that no seed repeats")
    } else if below_zero("seed") || below_zero("subseed") {
        Some("a seed below -1 cannot be counted up from")
    } else if !request.get("alwayson_scripts").is_none_or(run_for_each_picture) {
        Some("alwayson_scripts of extensions may look at all pictures")
    } else {
        None
    }
}

fn run_for_each_picture(scripts: &RawValue) -> bool {
    match Object::read(scripts.get()) {
        Some(scripts) => scripts
            .keys()
            .all(|title| FOR_EACH_PICTURE.contains(&title.to_lowercase().as_str())),
        None => scripts.get() == "null",
    }
}

#[cfg(test)]
mod tests;
