//! Splitting a sampler name inside a text that otherwise stays as it is.

use bytes::Bytes;
use runpod_sdk::json::RawJson;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Names;

/// An input whose sampler name was split.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) input: RawJson,
    pub(super) sampler: String,
    pub(super) scheduler: String,
}

/// The keys that matter, as they are spelled in the text; `Some` for `null`, too.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    sampler_name: Option<&'a RawValue>,
    /// The name of the sampler where `sampler_name` is empty.
    #[serde(borrow, default, deserialize_with = "present")]
    sampler_index: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    scheduler: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// Whether a look at the keys can be worth it: most inputs are not even parsed.
pub(super) fn mentions_a_sampler(input: &[u8]) -> bool {
    const KEY: &[u8] = b"\"sampler_";
    input.windows(KEY.len()).any(|window| window == KEY)
}

/// `None` if there is nothing to do, or nothing that can be done without guessing.
pub(super) fn split(input: &RawJson, known: &Names) -> Option<Split> {
    let text = std::str::from_utf8(input.as_bytes()).ok()?;
    let keys: Keys<'_> = serde_json::from_str(text).ok()?;
    let string = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let has_name = string(keys.sampler_name).is_some_and(|name| !name.is_empty());
    let raw_name = if has_name {
        keys.sampler_name
    } else {
        keys.sampler_index
    }?;
    let name = string(Some(raw_name))?;
    let (sampler, scheduler) = known.split(&name)?;

    let place = |raw: &RawValue| {
        let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
        start..start + raw.get().len()
    };
    let quoted = |text: &str| serde_json::to_string(text).ok();
    let mut edits = vec![(place(raw_name), quoted(sampler)?)];
    // A scheduler that the request names wins over the one in the sampler's name, as in 1.10.
    let chosen = string(keys.scheduler).filter(|scheduler| !scheduler.is_empty());
    match (&chosen, keys.scheduler) {
        (Some(_), _) => {}
        (None, Some(empty)) => edits.push((place(empty), quoted(scheduler)?)),
        (None, None) => {
            edits[0].1 += ", \"scheduler\": ";
            edits[0].1 += &quoted(scheduler)?;
        }
    }
    edits.sort_by_key(|(range, _)| range.start);

    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (range, replacement) in edits {
        out.push_str(&text[at..range.start]);
        out.push_str(&replacement);
        at = range.end;
    }
    out.push_str(&text[at..]);
    Some(Split {
        input: RawJson::parse(Bytes::from(out)).ok()?,
        sampler: sampler.to_owned(),
        scheduler: chosen.unwrap_or_else(|| scheduler.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Scheduler;
    use super::*;

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
