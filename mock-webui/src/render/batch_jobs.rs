//! The always-on script of sd-worker: pictures of different jobs in one batch (§13).
//!
//! It writes the prompts and seeds of each picture over those that the request has for all.

use serde_json::{Value, json};

use crate::request::{Fields, Mode};
use crate::server::Server;

/// The script's title, in lower case.
pub(super) const TITLE: &str = "batch jobs";

/// What one picture of a batch shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PictureJob {
    pub(super) prompt: String,
    pub(super) negative: String,
    pub(super) seed: i64,
    pub(super) subseed: i64,
    /// The prompts of the second pass, where they are not those of the first.
    pub(super) hires: [Option<String>; 2],
}

/// Whether the script is installed for this kind of request.
pub(super) fn is_installed(server: &Server, mode: Mode) -> bool {
    server.setup().batch_extension.is_some() && mode == Mode::Txt2Img
}

/// The script's one control, as `GET script-info` shows it. Its label has the version.
pub(super) fn controls(server: &Server) -> Value {
    let version = server.setup().batch_extension.unwrap_or_default();
    json!([{
        "label": format!("jobs of sd-worker, version {version}"),
        "value": "", "minimum": null, "maximum": null, "step": null, "choices": null,
    }])
}

/// The jobs of a request, one for each of its `pictures`; `None` if it has none. A list that does not fit raises an
/// exception in the script, which the real server swallows.
pub(super) fn read(server: &Server, mode: Mode, fields: &Fields, pictures: usize) -> Option<Vec<PictureJob>> {
    if !is_installed(server, mode) {
        return None;
    }
    let scripts = fields.get("alwayson_scripts").as_object()?;
    let (_, script) = scripts
        .iter()
        .find(|(title, _)| title.eq_ignore_ascii_case(TITLE))?;
    let jobs = script["args"].get(0)?.as_array()?;
    if jobs.len() != pictures {
        return None;
    }
    jobs.iter().map(|job| picture(server, job)).collect()
}

/// Writes the jobs over the prompts and seeds that the request has for all.
pub(super) fn put(
    jobs: &[PictureJob],
    [prompts, negatives]: [&mut Vec<String>; 2],
    [seeds, subseeds]: [&mut Vec<i64>; 2],
) {
    *prompts = jobs.iter().map(|job| job.prompt.clone()).collect();
    *negatives = jobs.iter().map(|job| job.negative.clone()).collect();
    *seeds = jobs.iter().map(|job| job.seed).collect();
    *subseeds = jobs.iter().map(|job| job.subseed).collect();
}

fn picture(server: &Server, job: &Value) -> Option<PictureJob> {
    let text = |name: &str| job.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| match job.get(name).and_then(Value::as_i64) {
        None | Some(-1) => server.random_seed(),
        Some(number) => number,
    };
    let (prompt, negative) = (
        job.get("prompt")?.as_str()?.to_owned(),
        text("negative_prompt").to_owned(),
    );
    let own = |name: &str, first: &str| {
        let own = text(name);
        (!own.is_empty() && own != first).then(|| own.to_owned())
    };
    Some(PictureJob {
        hires: [own("hr_prompt", &prompt), own("hr_negative_prompt", &negative)],
        seed: number("seed"),
        subseed: number("subseed"),
        prompt,
        negative,
    })
}
