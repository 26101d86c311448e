//! Splits the sampler name inside a request, and leaves every other byte as it is.

use runpod_sdk::json::RawJson;

use super::Names;
use crate::splice::{Edits, Object, may_have, quoted};

/// An input whose sampler name was split.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) input: RawJson,
    pub(super) sampler: String,
    pub(super) scheduler: String,
}

/// A quick test for any sampler field, so that most inputs need not be parsed.
pub(super) fn mentions_a_sampler(input: &RawJson) -> bool {
    may_have(input.as_str(), "sampler_")
}

/// The request with its sampler name split. `None` if no split is needed, or if the request is ambiguous.
pub(super) fn split(input: &RawJson, known: &Names) -> Option<Split> {
    let text = input.as_str();
    let keys = Object::read(text)?;
    let string = |key: &str| keys.decode::<String>(key).filter(|name| !name.is_empty());
    // The WebUI reads `sampler_index` as the name where `sampler_name` is empty.
    let key = if string("sampler_name").is_some() {
        "sampler_name"
    } else {
        "sampler_index"
    };
    if ["sampler_name", "sampler_index", "scheduler"]
        .iter()
        .any(|key| keys.count(key) > 1)
    {
        return None;
    }
    let name = string(key)?;
    let (sampler, scheduler) = known.split(&name)?;

    let mut edits = Edits::of(text);
    let mut replaced = quoted(sampler);
    // A scheduler that the request names wins over the one in the sampler's name, as in 1.10.
    let chosen = string("scheduler");
    match (&chosen, keys.get("scheduler")) {
        (Some(_), _) => {}
        (None, Some(empty)) => edits.replace(empty, quoted(scheduler)),
        (None, None) => {
            replaced += ", \"scheduler\": ";
            replaced += &quoted(scheduler);
        }
    }
    edits.replace(keys.get(key)?, replaced);
    Some(Split {
        input: edits.apply()?,
        sampler: sampler.to_owned(),
        scheduler: chosen.unwrap_or_else(|| scheduler.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webui::Scheduler;

    fn names() -> Names {
        let scheduler = |label: &str| Scheduler {
            name: label.to_lowercase(),
            label: label.to_owned(),
            aliases: None,
        };
        Names {
            samplers: vec!["DPM++ 2M".to_owned(), "Euler".to_owned()],
            schedulers: vec![scheduler("Karras"), scheduler("Exponential")],
        }
    }

    fn adapted(input: &str) -> Option<String> {
        let split = split(&RawJson::parse(input.to_owned()).unwrap(), &names())?;
        Some(split.input.as_str().to_owned())
    }

    #[test]
    fn every_other_byte_stays() {
        assert_eq!(
            adapted(
                "{\"cfg_scale\": 7.0e0,\n \"sampler_name\" : \"DPM++ 2M Karras\" , \"note\":\"\\ud83d\"}"
            )
            .unwrap(),
            "{\"cfg_scale\": 7.0e0,\n \"sampler_name\" : \"DPM++ 2M\", \"scheduler\": \"Karras\" , \"note\":\"\\ud83d\"}"
        );
    }

    #[test]
    fn a_scheduler_that_the_request_names_wins() {
        assert_eq!(
            adapted(r#"{"scheduler":"Exponential","sampler_name":"DPM++ 2M Karras"}"#).unwrap(),
            r#"{"scheduler":"Exponential","sampler_name":"DPM++ 2M"}"#
        );
    }

    #[test]
    fn an_empty_scheduler_is_filled() {
        for empty in ["null", "\"\""] {
            assert_eq!(
                adapted(&format!(
                    r#"{{"scheduler":{empty},"sampler_name":"DPM++ 2M Karras"}}"#
                ))
                .unwrap(),
                r#"{"scheduler":"Karras","sampler_name":"DPM++ 2M"}"#
            );
        }
    }

    #[test]
    fn the_index_counts_where_the_name_is_empty() {
        assert_eq!(
            adapted(r#"{"sampler_name":null,"sampler_index":"Euler Karras"}"#).unwrap(),
            r#"{"sampler_name":null,"sampler_index":"Euler", "scheduler": "Karras"}"#
        );
    }

    #[test]
    fn nothing_is_guessed() {
        for untouched in [
            "{}",
            r#"{"sampler_name":"Euler"}"#,
            r#"{"sampler_name":"Nope"}"#,
            r#"{"sampler_name":7}"#,
            r#"{"sampler_name":"Euler Karras","sampler_name":"Euler"}"#,
        ] {
            assert_eq!(adapted(untouched), None, "{untouched}");
        }
    }
}
