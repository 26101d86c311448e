//! Splits sampler names for SD.Next, which has the field `schedulers_sigma` in place of a scheduler.

use runpod_sdk::json::RawJson;

use super::split::Split;
use crate::splice::{Edits, Object, quoted};

const KEY: &str = "schedulers_sigma";
/// Schedules by the names of A1111, and SD.Next's names for them. It has no others.
const SIGMAS: [(&str, &str); 3] = [
    ("karras", "karras"),
    ("exponential", "exponential"),
    ("beta", "betas"),
];

/// The request with its sampler name split. `None` if no split is needed, or if the request is ambiguous.
pub(super) fn split(input: &RawJson, samplers: &[String]) -> Option<Split> {
    let text = input.as_str();
    let request = Object::read(text)?;
    let string = |key: &str| request.decode::<String>(key).filter(|name| !name.is_empty());
    let key = if string("sampler_name").is_some() {
        "sampler_name"
    } else {
        "sampler_index"
    };
    if ["sampler_name", "sampler_index", "scheduler", KEY]
        .iter()
        .any(|key| request.count(key) > 1)
    {
        return None;
    }
    let name = string(key)?;
    let known = |name: &str| samplers.iter().any(|sampler| sampler == name);
    if known(&name) {
        return None;
    }
    let (sampler, ending) = name.rsplit_once(' ')?;
    if !known(sampler) {
        return None;
    }
    let by_name = sigma(ending)?;
    // A schedule that the request names wins over the one in the sampler's name.
    let chosen = string("scheduler")
        .and_then(|scheduler| sigma(&scheduler))
        .unwrap_or(by_name);
    let own = string(KEY);
    let mut edits = Edits::of(text);
    let mut replaced = quoted(sampler);
    match (&own, request.get(KEY)) {
        (Some(_), _) => {}
        (None, Some(empty)) => edits.replace(empty, quoted(chosen)),
        (None, None) => replaced = [&replaced, ", ", &quoted(KEY), ": ", &quoted(chosen)].concat(),
    }
    edits.replace(request.get(key)?, replaced);
    Some(Split {
        input: edits.apply()?,
        sampler: sampler.to_owned(),
        scheduler: own.unwrap_or_else(|| chosen.to_owned()),
    })
}

fn sigma(schedule: &str) -> Option<&'static str> {
    let schedule = schedule.to_lowercase();
    SIGMAS
        .iter()
        .find(|(name, _)| *name == schedule)
        .map(|(_, sigma)| *sigma)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(input: &str) -> Option<String> {
        let samplers = ["DPM++ 2M", "Euler a"].map(str::to_owned);
        let split = split(&RawJson::parse(input.to_owned()).unwrap(), &samplers)?;
        Some(split.input.as_str().to_owned())
    }

    #[test]
    fn the_schedule_goes_into_the_field_that_sd_next_has() {
        assert_eq!(
            adapted(r#"{"cfg_scale": 7.0e0, "sampler_name": "DPM++ 2M Karras"}"#).unwrap(),
            r#"{"cfg_scale": 7.0e0, "sampler_name": "DPM++ 2M", "schedulers_sigma": "karras"}"#
        );
        assert_eq!(
            adapted(r#"{"sampler_index": "Euler a Exponential", "schedulers_sigma": null}"#).unwrap(),
            r#"{"sampler_index": "Euler a", "schedulers_sigma": "exponential"}"#
        );
        assert_eq!(
            adapted(r#"{"sampler_name": "DPM++ 2M Karras", "scheduler": "Exponential"}"#).unwrap(),
            r#"{"sampler_name": "DPM++ 2M", "schedulers_sigma": "exponential", "scheduler": "Exponential"}"#
        );
        assert_eq!(
            adapted(r#"{"sampler_name": "DPM++ 2M Karras", "schedulers_sigma": "betas"}"#).unwrap(),
            r#"{"sampler_name": "DPM++ 2M", "schedulers_sigma": "betas"}"#
        );
    }

    #[test]
    fn nothing_is_guessed() {
        for untouched in [
            "{}",
            r#"{"sampler_name": "DPM++ 2M"}"#,
            r#"{"sampler_name": "DPM++ 2M SGM Uniform"}"#,
            r#"{"sampler_name": "Nope Karras"}"#,
            r#"{"sampler_name": "Karras"}"#,
        ] {
            assert_eq!(adapted(untouched), None, "{untouched}");
        }
    }
}
