//! The request of a batch. It is pure.

use serde_json::{Value, json};

use super::share::OwnFields;
use crate::extension::TITLE;
use crate::splice::{Edits, Object};
use crate::webui::Call;

/// The request of the first job, for as many pictures as there are jobs. `None` if that is no longer valid JSON.
pub(super) fn of_all<'a>(first: &Call, jobs: impl Iterator<Item = &'a OwnFields>) -> Option<Call> {
    let jobs: Vec<Value> = jobs.map(argument).collect();
    let body = first.body.as_ref()?.as_str();
    let object = Object::read(body)?;
    let mut edits = Edits::of(body);
    let mut set = |name: &str, json: String| match object.get(name) {
        Some(value) => edits.replace(value, json),
        None => edits.append(body, name, &json),
    };
    set("batch_size", jobs.len().to_string());
    set(
        "alwayson_scripts",
        json!({ TITLE: { "args": [jobs] } }).to_string(),
    );
    Some(first.clone().with_body(edits.apply()?))
}

/// A job as the worker's script takes it.
fn argument(job: &OwnFields) -> Value {
    json!({
        "prompt": job.prompt,
        "negative_prompt": job.negative_prompt,
        "seed": job.seed,
        "subseed": job.subseed,
        "hr_prompt": job.hr_prompt,
        "hr_negative_prompt": job.hr_negative_prompt,
    })
}

#[cfg(test)]
mod tests {
    use runpod_sdk::json::RawJson;

    use super::super::share::{ServerLimits, Share};
    use super::*;

    #[test]
    fn the_request_of_a_batch_is_that_of_its_first_job_with_all_jobs_in_it() {
        let bodies = [
            r#"{"prompt": "a cat", "unknown": 1.0e0, "batch_size": 1, "seed": 5}"#,
            r#"{"prompt": "a \"dog\"", "unknown": 1.0e0, "negative_prompt": "blurry"}"#,
        ];
        let calls = bodies.map(|body| Call::txt2img(RawJson::parse(body).unwrap()));
        let shares = calls
            .iter()
            .map(|call| Share::read(call, &ServerLimits::default()).unwrap());
        let shares: Vec<_> = shares.collect();
        let call = of_all(&calls[0], shares.iter().map(|share| &share.own)).unwrap();
        insta::assert_snapshot!(call.body.unwrap().as_str());
    }
}
