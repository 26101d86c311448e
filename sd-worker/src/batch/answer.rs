//! Splits the answer of a batch into the answers of its jobs. It is pure.
//!
//! Each is what the WebUI would have answered to the job alone: one picture, `parameters` and `info` as for it. Every other
//! byte stays. Values of a job are taken from the answer's own text where it has them.

use runpod_sdk::json::RawJson;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::share::OwnFields;
use crate::splice::{Edits, Object, quoted};

/// Why an answer is not that of the batch that was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotSplit {
    #[error("the answer lacks {0}")]
    Lacks(&'static str),
    #[error("the answer has {found} entries of {name} for {jobs} jobs")]
    Count {
        name: &'static str,
        found: usize,
        jobs: usize,
    },
    /// The worker's script did nothing, or another script has changed what it did.
    #[error("{0} are not those of the jobs")]
    Others(&'static str),
}

/// Lists of `info` with an entry for each picture, and the field that repeats the first entry.
const LISTS: [(&str, Option<&str>); 5] = [
    ("all_prompts", Some("prompt")),
    ("all_negative_prompts", Some("negative_prompt")),
    ("all_seeds", Some("seed")),
    ("all_subseeds", Some("subseed")),
    ("infotexts", None),
];

/// The answer of a batch.
struct Answer<'a> {
    text: &'a str,
    images: (&'a RawValue, Vec<&'a RawValue>),
    parameters: Object<'a>,
    info: &'a RawValue,
}

/// The answer of each job, in their order.
pub(super) fn split(answer: &RawJson, jobs: &[OwnFields]) -> Result<Vec<RawJson>, NotSplit> {
    let answer = Answer::read(answer.as_str())?;
    let info: String = serde_json::from_str(answer.info.get()).map_err(|_| NotSplit::Lacks("info"))?;
    let info = Info::read(&info)?;
    let images = &answer.images.1;
    for (name, found) in [("images", images.len()), ("info", info.lists[0].1.len())] {
        if found != jobs.len() {
            let jobs = jobs.len();
            return Err(NotSplit::Count { name, found, jobs });
        }
    }
    info.check(jobs)?;
    let each = jobs.iter().enumerate();
    each.map(|(index, job)| {
        let info = info.of(index).ok_or(NotSplit::Lacks("info"))?;
        answer.of(index, job, &info).ok_or(NotSplit::Lacks("images"))
    })
    .collect()
}

impl<'a> Answer<'a> {
    fn read(text: &'a str) -> Result<Self, NotSplit> {
        let object = Object::read(text).ok_or(NotSplit::Lacks("an object"))?;
        let value = |name| object.get(name).ok_or(NotSplit::Lacks(name));
        Ok(Self {
            text,
            images: entries(value("images")?).ok_or(NotSplit::Lacks("images"))?,
            parameters: object.object("parameters").ok_or(NotSplit::Lacks("parameters"))?,
            info: value("info")?,
        })
    }

    /// The answer with the picture at `index` alone.
    fn of(&self, index: usize, job: &OwnFields, info: &str) -> Option<RawJson> {
        let (images, each) = &self.images;
        let mut edits = Edits::of(self.text);
        edits.replace(images, format!("[{}]", each.get(index)?.get()));
        let own = [
            ("prompt", quoted(&job.prompt)),
            ("negative_prompt", quoted(&job.negative_prompt)),
            ("hr_prompt", quoted(&job.hr_prompt)),
            ("hr_negative_prompt", quoted(&job.hr_negative_prompt)),
            ("seed", job.seed.to_string()),
            ("subseed", job.subseed.to_string()),
            ("batch_size", "1".to_owned()),
            ("alwayson_scripts", "{}".to_owned()),
        ];
        for (name, json) in own {
            if let Some(value) = self.parameters.get(name) {
                edits.replace(value, json);
            }
        }
        edits.replace(self.info, quoted(info));
        edits.apply()
    }
}

/// The document about the pictures.
struct Info<'a> {
    text: &'a str,
    object: Object<'a>,
    /// As in [`LISTS`].
    lists: Vec<(&'a RawValue, Vec<&'a RawValue>)>,
}

impl<'a> Info<'a> {
    fn read(text: &'a str) -> Result<Self, NotSplit> {
        let object = Object::read(text).ok_or(NotSplit::Lacks("info"))?;
        let lists = LISTS.map(|(name, _)| {
            let list = object.get(name).and_then(entries);
            list.ok_or(NotSplit::Lacks(name))
        });
        let lists = lists.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Self { text, object, lists })
    }

    /// Whether the pictures are those of the jobs, in their order.
    fn check(&self, jobs: &[OwnFields]) -> Result<(), NotSplit> {
        for ((name, _), (_, list)) in LISTS.into_iter().zip(&self.lists) {
            if list.len() != jobs.len() {
                let (found, jobs) = (list.len(), jobs.len());
                return Err(NotSplit::Count { name, found, jobs });
            }
        }
        if self.object.decode::<i64>("index_of_first_image") != Some(0) {
            return Err(NotSplit::Others("the first pictures"));
        }
        let [prompts, negatives, seeds, subseeds, _] = &*self.lists else {
            return Err(NotSplit::Lacks("info"));
        };
        for (index, job) in jobs.iter().enumerate() {
            let text = |list: &(_, Vec<&RawValue>)| decode::<String>(list.1[index]);
            let number = |list: &(_, Vec<&RawValue>)| decode::<i64>(list.1[index]);
            let is_seed = |found: Option<i64>, asked: i64| match found {
                Some(found) => asked == -1 || found == asked,
                None => false,
            };
            if text(prompts).as_deref() != Some(&job.prompt) {
                return Err(NotSplit::Others("the prompts"));
            }
            if text(negatives).as_deref() != Some(&job.negative_prompt) {
                return Err(NotSplit::Others("the negative prompts"));
            }
            if !is_seed(number(seeds), job.seed) || !is_seed(number(subseeds), job.subseed) {
                return Err(NotSplit::Others("the seeds"));
            }
        }
        Ok(())
    }

    /// The document about the picture at `index` alone.
    fn of(&self, index: usize) -> Option<String> {
        let mut edits = Edits::of(self.text);
        for ((_, first), (list, each)) in LISTS.into_iter().zip(&self.lists) {
            let own = each.get(index)?.get();
            edits.replace(list, format!("[{own}]"));
            if let Some(value) = first.and_then(|first| self.object.get(first)) {
                edits.replace(value, own.to_owned());
            }
        }
        if let Some(value) = self.object.get("batch_size") {
            edits.replace(value, "1".to_owned());
        }
        Some(edits.apply()?.as_str().to_owned())
    }
}

/// A list with its undecoded entries.
fn entries(list: &RawValue) -> Option<(&RawValue, Vec<&RawValue>)> {
    Some((list, serde_json::from_str(list.get()).ok()?))
}

fn decode<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(prompt: &str, seed: i64) -> OwnFields {
        OwnFields {
            prompt: prompt.to_owned(),
            negative_prompt: "n".to_owned(),
            hr_prompt: String::new(),
            hr_negative_prompt: String::new(),
            seed,
            subseed: -1,
        }
    }

    const INFO: &str = r#"{"prompt": "a", "all_prompts": ["a", "\u00e4\n"], "negative_prompt": "n", "all_negative_prompts": ["n", "n"], "seed": 5, "all_seeds": [5, 6], "subseed": 1, "all_subseeds": [1, 2], "subseed_strength": 0, "batch_size": 2, "index_of_first_image": 0, "infotexts": ["a\nSeed: 5", "\u00e4\nSeed: 6"], "styles": []}"#;

    fn answer(info: &str) -> RawJson {
        let parameters = r#"{"prompt":"a","negative_prompt":"n","seed":5,"subseed":-1,"steps":1.0e0,"batch_size":2,"alwayson_scripts":{"batch jobs":{}}}"#;
        let text = format!(
            r#"{{"images":["MQ==","Mg=="], "parameters":{parameters},"info":{}}}"#,
            quoted(info)
        );
        RawJson::parse(text).unwrap()
    }

    #[test]
    fn each_answer_has_its_own_picture_parameters_and_info() {
        let split = split(&answer(INFO), &[job("a", 5), job("ä\n", -1)]).unwrap();
        let texts: Vec<_> = split.iter().map(RawJson::as_str).collect();
        insta::assert_snapshot!(texts.join("\n\n"));
    }

    #[test]
    fn an_answer_about_other_pictures_is_not_split() {
        let jobs = [job("a", 5), job("ä\n", 6)];
        let refused = |from: &str, to: &str| split(&answer(&INFO.replace(from, to)), &jobs).unwrap_err();
        assert_eq!(refused("\\u00e4\\n\"", "a\""), NotSplit::Others("the prompts"));
        assert_eq!(
            refused("[\"n\", \"n\"]", "[\"n\", \"\"]"),
            NotSplit::Others("the negative prompts")
        );
        assert_eq!(refused("[5, 6]", "[5, 7]"), NotSplit::Others("the seeds"));
        assert_eq!(
            refused("\"index_of_first_image\": 0", "\"index_of_first_image\": 1"),
            NotSplit::Others("the first pictures")
        );
        assert_eq!(
            refused("[1, 2]", "[1]"),
            NotSplit::Count {
                name: "all_subseeds",
                found: 1,
                jobs: 2
            }
        );
        assert_eq!(refused("infotexts", "info"), NotSplit::Lacks("infotexts"));
        assert_eq!(
            split(&answer(INFO), &[job("a", 5), job("ä\n", 6), job("b", 7)]).unwrap_err(),
            NotSplit::Count {
                name: "images",
                found: 2,
                jobs: 3
            }
        );
        assert_eq!(
            split(&RawJson::parse("{}").unwrap(), &jobs).unwrap_err(),
            NotSplit::Lacks("images")
        );
    }
}
