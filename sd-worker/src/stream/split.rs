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
use crate::render::Part;
use crate::splice::{Edits, Object};
use crate::webui::Call;

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
/// The value of `inpainting_fill` that makes noise of the first batch's seeds for all batches.
const LATENT_NOISE: f64 = 2.0;

/// A render as one request or several.
#[derive(Debug)]
pub(super) struct Split {
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

impl Split {
    /// Splits a render, if its batches can be rendered apart.
    pub(super) fn of(call: Call) -> Self {
        let (batches, in_one) = match call.body.as_ref().and_then(|body| Object::read(body.as_str())) {
            Some(request) => match (batches(&request), obstacle(&request)) {
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
    pub(super) fn part(&self) -> Option<Part> {
        (self.next < self.batches).then(|| Part::new(self.next, self.batches))
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
fn obstacle(request: &Object<'_>) -> Option<&'static str> {
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
    } else if value("inpainting_fill").as_ref().and_then(number) == Some(LATENT_NOISE) {
        Some("inpainting_fill 2 makes noise of the first seeds for all of them")
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
mod tests {
    use serde_json::json;

    use super::*;

    fn split(body: &str) -> Split {
        Split::of(Call::txt2img(RawJson::parse(body.to_owned()).unwrap()))
    }

    fn answer(info: &Value) -> RawJson {
        RawJson::from(json!({ "images": ["…"], "info": info.to_string() }))
    }

    /// The requests that are sent, if the first is answered with `info`.
    fn sent(body: &str, info: &Value) -> Vec<String> {
        let mut split = split(body);
        let mut sent = Vec::new();
        while split.part().is_some() {
            let call = split.call().unwrap();
            sent.push(call.body.unwrap().as_str().to_owned());
            split.done(Seeds::of(&answer(info)));
        }
        sent
    }

    #[test]
    fn each_batch_is_asked_for_with_its_own_seeds_and_the_rest_stays() {
        assert_eq!(
            sent(
                r#"{ "n_iter":3, "prompt": "a", "seed": -1 ,"batch_size":2}"#,
                &json!({ "seed": 100, "subseed": 7, "subseed_strength": 0, "batch_size": 2 })
            ),
            [
                r#"{ "n_iter":1, "prompt": "a", "seed": -1 ,"batch_size":2}"#,
                r#"{ "n_iter":1, "prompt": "a", "seed": 102 ,"batch_size":2,"subseed":9}"#,
                r#"{ "n_iter":1, "prompt": "a", "seed": 104 ,"batch_size":2,"subseed":11}"#,
            ]
        );
    }

    #[test]
    fn with_variations_only_the_variation_seed_counts_up() {
        assert_eq!(
            sent(
                r#"{"n_iter": "2", "subseed": 7, "subseed_strength": 0.5}"#,
                &json!({ "seed": 100, "subseed": 7, "subseed_strength": 0.5, "batch_size": 1 })
            ),
            [
                r#"{"n_iter": 1, "subseed": 7, "subseed_strength": 0.5}"#,
                r#"{"n_iter": 1, "subseed": 8, "subseed_strength": 0.5,"seed":100}"#,
            ]
        );
    }

    #[test]
    fn one_batch_is_sent_as_it_came() {
        for body in [
            "{}",
            r#"{"n_iter": 1.9}"#,
            r#"{"n_iter": null}"#,
            r#"{"n_iter": 0}"#,
            r#"{"n_iter": "nan"}"#,
            r#"{"n_iter": "inf"}"#,
            r#"{"n_iter": "1e9"}"#,
            r#"{"n_iter": "2.0"}"#,
            r#"{"n_iter": 1e999}"#,
            "[]",
        ] {
            assert_eq!(sent(body, &json!({})), [body]);
        }
    }

    #[test]
    fn what_would_differ_stays_one_request_and_says_why() {
        for (more, why) in [
            (r#""script_name": "x/y/z plot""#, "script renders"),
            (r#""save_images": "true""#, "grid"),
            (r#""inpainting_fill": 2"#, "noise"),
            (r#""seed": -3"#, "below -1"),
            (r#""subseed": "-2""#, "below -1"),
            (
                r#""alwayson_scripts": {"ControlNet": {"args": []}}"#,
                "extensions",
            ),
            (r#""alwayson_scripts": 5"#, "extensions"),
        ] {
            let body = format!(r#"{{"n_iter": 4, {more}}}"#);
            let split = split(&body);
            assert_eq!(split.part(), Some(Part::WHOLE), "{body}");
            assert!(split.in_one.is_some_and(|reason| reason.contains(why)), "{body}");
            assert_eq!(split.call().unwrap().body.unwrap().as_str(), body);
        }
    }

    #[test]
    fn what_runs_for_each_picture_is_no_obstacle() {
        let body = r#"{"n_iter": 2, "script_name": "", "save_images": false, "inpainting_fill": 1, "seed": -1,
            "alwayson_scripts": {"Refiner": {"args": [true, "m", 0.8]}, "seed": {}}}"#;
        assert_eq!(split(body).part(), Some(Part::new(0, 2)));
        assert_eq!(
            split(r#"{"n_iter": 2, "alwayson_scripts": null}"#).part(),
            Some(Part::new(0, 2))
        );
    }

    #[test]
    fn without_known_seeds_there_is_no_next_request() {
        for info in [
            json!({}),
            json!({ "seed": -4 }),
            json!({ "seed": 1, "subseed": -2 }),
        ] {
            let mut split = split(r#"{"n_iter": 2}"#);
            split.done(Seeds::of(&answer(&info)));
            assert!(split.part().is_some() && split.call().is_none(), "{info}");
        }
    }

    #[test]
    fn seeds_are_read_from_an_info_that_is_no_text_as_well() {
        let mut split = split(r#"{"n_iter": 2}"#);
        assert!(split.wants_seeds());
        let info = json!({ "seed": 4, "subseed": 6 });
        split.done(Seeds::of(&RawJson::from(json!({ "info": info }))));
        let body = split.call().unwrap().body.unwrap();
        assert_eq!(body.as_str(), r#"{"n_iter": 1,"seed":5,"subseed":7}"#);
        assert!(
            !split.wants_seeds(),
            "the last part reports nothing that is needed"
        );
    }

    proptest::proptest! {
        #[test]
        fn the_seeds_of_all_batches_are_those_of_one_request(
            seed in 0_i64..4_294_967_294, subseed in 0_i64..4_294_967_294,
            batch_size in 1_u32..5, batches in 1_u32..5, varied: bool,
        ) {
            // §6: the rule for a whole request.
            let pictures = i64::from(batch_size * batches);
            let of_one: Vec<(i64, i64)> =
                (0..pictures).map(|i| (if varied { seed } else { seed + i }, subseed + i)).collect();
            let strength = if varied { 0.3 } else { 0.0 };
            let seeds = Seeds {
                seed, subseed: Some(subseed), subseed_strength: Some(strength), batch_size: Some(batch_size),
            };
            let apart: Vec<(i64, i64)> = (0..batches).flat_map(|batch| {
                let (seed, subseed) = seeds.of_batch(batch);
                (0..i64::from(batch_size)).map(move |i| (if varied { seed } else { seed + i }, subseed.unwrap() + i))
            }).collect();
            proptest::prop_assert_eq!(apart, of_one);
        }
    }
}
