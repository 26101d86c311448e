//! Writes sampler and scheduler for SD.Next, which has the field `schedulers_sigma` in place of a scheduler.

use runpod_sdk::json::RawJson;

use super::split::Split;
use crate::splice::{Edits, Object, may_have, quoted};

const KEY: &str = "schedulers_sigma";
const SCHEDULER: &str = "scheduler";
/// Schedules by the names of A1111, and SD.Next's names for them. It has no others.
const SIGMAS: [(&str, &str); 4] = [
    ("automatic", "default"),
    ("karras", "karras"),
    ("exponential", "exponential"),
    ("beta", "betas"),
];

/// A quick test for a scheduler, so that most inputs need not be parsed.
pub(super) fn mentions_a_scheduler(input: &RawJson) -> bool {
    may_have(input.as_str(), "scheduler")
}

/// The request with its schedule in SD.Next's field, and without one in the sampler's name. `None` if it has no schedule
/// that SD.Next knows, or if it is ambiguous.
pub(super) fn translate(input: &RawJson, samplers: &[String]) -> Option<Split> {
    let text = input.as_str();
    let request = Object::read(text)?;
    let string = |key: &str| request.decode::<String>(key).filter(|name| !name.is_empty());
    let key = if string("sampler_name").is_some() {
        "sampler_name"
    } else {
        "sampler_index"
    };
    if ["sampler_name", "sampler_index", SCHEDULER, KEY]
        .iter()
        .any(|key| request.count(key) > 1)
    {
        return None;
    }
    let name = string(key).unwrap_or_default();
    let in_name = schedule_in_name(&name, samplers);
    let scheduler = string(SCHEDULER).and_then(|scheduler| sigma(&scheduler));
    let own = string(KEY);
    if in_name.is_none() && (scheduler.is_none() || own.is_some()) {
        return None;
    }
    let mut edits = Edits::of(text);
    let mut replaced = in_name.map(|(sampler, _)| quoted(sampler));
    // A schedule that the request names wins over the one in the sampler's name.
    let chosen = scheduler.or(in_name.map(|(_, sigma)| sigma))?;
    match (&own, request.get(KEY), scheduler, &mut replaced) {
        (Some(_), ..) => {}
        (None, Some(empty), ..) => edits.replace(empty, quoted(chosen)),
        (None, None, Some(_), _) => {
            edits.rename(SCHEDULER, request.get(SCHEDULER)?, KEY, &quoted(chosen));
        }
        (None, None, None, Some(replaced)) => {
            *replaced = [replaced, ", ", &quoted(KEY), ": ", &quoted(chosen)].concat();
        }
        (None, None, None, None) => return None,
    }
    if let Some(replaced) = replaced {
        edits.replace(request.get(key)?, replaced);
    }
    Some(Split {
        input: edits.apply()?,
        sampler: in_name.map_or(name.clone(), |(sampler, _)| sampler.to_owned()),
        scheduler: own.unwrap_or_else(|| chosen.to_owned()),
    })
}

/// "DPM++ 2M Karras" → ("DPM++ 2M", "karras"); `None` if SD.Next knows the name as it is, or would not know the parts
/// either.
fn schedule_in_name<'a>(name: &'a str, samplers: &[String]) -> Option<(&'a str, &'static str)> {
    let known = |name: &str| samplers.iter().any(|sampler| sampler == name);
    let (sampler, ending) = name.rsplit_once(' ')?;
    (!known(name) && known(sampler)).then_some((sampler, sigma(ending)?))
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
        let split = translate(&RawJson::parse(input.to_owned()).unwrap(), &samplers)?;
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
            r#"{"sampler_name": "DPM++ 2M", "schedulers_sigma": "exponential"}"#
        );
        assert_eq!(
            adapted(r#"{"sampler_name": "DPM++ 2M Karras", "schedulers_sigma": "betas"}"#).unwrap(),
            r#"{"sampler_name": "DPM++ 2M", "schedulers_sigma": "betas"}"#
        );
    }

    #[test]
    fn a_scheduler_is_written_by_the_name_that_sd_next_has_for_it() {
        for (scheduler, sigma) in [
            ("Karras", "karras"),
            ("karras", "karras"),
            ("Exponential", "exponential"),
            ("Beta", "betas"),
            ("Automatic", "default"),
        ] {
            assert_eq!(
                adapted(&format!(
                    r#"{{"sampler_name": "DPM++ 2M", "scheduler" : "{scheduler}", "steps": 2}}"#
                ))
                .unwrap(),
                format!(r#"{{"sampler_name": "DPM++ 2M", "schedulers_sigma": "{sigma}", "steps": 2}}"#)
            );
        }
        assert_eq!(
            adapted(r#"{"prompt": "x", "scheduler": "Karras"}"#).unwrap(),
            r#"{"prompt": "x", "schedulers_sigma": "karras"}"#
        );
        assert_eq!(
            adapted(r#"{"scheduler": "Beta", "schedulers_sigma": "", "sampler_name": "Euler a"}"#).unwrap(),
            r#"{"scheduler": "Beta", "schedulers_sigma": "betas", "sampler_name": "Euler a"}"#
        );
    }

    #[test]
    fn nothing_is_guessed() {
        for untouched in [
            "{}",
            r#"{"scheduler": "SGM Uniform", "sampler_name": "Euler a"}"#,
            r#"{"scheduler": "Karras", "schedulers_sigma": "betas"}"#,
            r#"{"scheduler": null, "sampler_name": "Euler a"}"#,
            r#"{"sampler_name": "DPM++ 2M"}"#,
            r#"{"sampler_name": "DPM++ 2M SGM Uniform"}"#,
            r#"{"sampler_name": "Nope Karras"}"#,
            r#"{"sampler_name": "Karras"}"#,
        ] {
            assert_eq!(adapted(untouched), None, "{untouched}");
        }
    }
}
