//! The job of a local test: from the command line, from a file, or from a file of tests for RunPod's Hub.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use runpod_protocol::nearest;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::json_slip;
use crate::job::Job;

/// The file that is read where the command line names no job.
pub(super) const INPUT_FILE: &str = "test_input.json";

/// The longest part of a text that a message repeats.
const LONGEST_SHOWN: usize = 80;

/// A job as a client would submit it, and what a person should know of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestJob {
    /// The job: an object with an `input`.
    pub(super) text: String,
    /// Which of several jobs it is.
    pub(super) note: Option<String>,
}

/// One test of the Hub's `tests.json`. Its other fields are for the Hub.
#[derive(Deserialize)]
struct HubTest<'a> {
    name: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

impl TestJob {
    /// The value of `--test_input`: a job, or the path of a file that holds one.
    pub(super) fn from_flag(value: &str) -> Result<Self, String> {
        if value.trim_start().starts_with(['{', '[', '\u{feff}']) {
            return Self::read(value).map_err(|problem| format!("--test_input: {problem}"));
        }
        let text = read_file(Path::new(value)).map_err(|problem| {
            format!(
                "--test_input {}: neither a JSON object, such as '{{\"input\": …}}', nor a file that can be read ({problem})",
                shown(value)
            )
        })?;
        Self::read(&text).map_err(|problem| format!("{value}: {problem}"))
    }

    /// The job in a file; `None` if there is no such file.
    pub(super) fn from_file(file: &Path) -> Result<Option<Self>, String> {
        let named = |problem| format!("{}: {problem}", file.display());
        match read_file(file) {
            Ok(text) => Self::read(&text).map(Some).map_err(named),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(error.to_string())),
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| json_slip::explain(text, "a JSON object", &error))?;
        if let Some(tests) = fields.get("tests")
            && !fields.contains_key("input")
        {
            return Self::first_of_hub(tests);
        }
        if has_input(fields.get("input").copied()) {
            return Ok(Self {
                text: text.to_owned(),
                note: None,
            });
        }
        let mut problem = "the object has no \"input\"; write {\"input\": …}".to_owned();
        if let Some(near) = fields
            .keys()
            .find(|key| nearest(key, ["input"]).is_some() && *key != "input")
        {
            problem = format!("{problem} in place of {{\"{near}\": …}}");
        }
        Err(problem)
    }

    fn first_of_hub(tests: &RawValue) -> Result<Self, String> {
        let tests: Vec<HubTest<'_>> = serde_json::from_str(tests.get())
            .map_err(|error| format!("\"tests\" is not a list of tests: {error}"))?;
        let Some(first) = tests.first() else {
            return Err("\"tests\" is empty".to_owned());
        };
        let name = first
            .name
            .as_deref()
            .map_or_else(String::new, |name| format!(" ({name})"));
        let Some(input) = first.input.filter(|input| has_input(Some(input))) else {
            return Err(format!("the first test{name} has no \"input\""));
        };
        Ok(Self {
            text: format!("{{\"input\": {}}}", input.get()),
            note: Some(format!(
                "These are tests for RunPod's Hub. Running the first of {}{name}.",
                tests.len()
            )),
        })
    }

    /// The job, with the id `local_test` if it has none.
    pub(super) fn job(&self) -> Result<Job, String> {
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(&self.text).map_err(|error| error.to_string())?;
        let whole = if fields.contains_key("id") {
            self.text.clone()
        } else {
            self.text.replacen('{', "{\"id\":\"local_test\",", 1)
        };
        Job::read(whole.into(), false).map_err(|error| error.to_string())
    }
}

/// The value of `--test_output`: JSON, or the path of a file that holds it.
pub(super) fn expected_output(value: &str) -> Result<Value, String> {
    let read = |text: &str| {
        let text = text.trim_start_matches('\u{feff}');
        serde_json::from_str(text).map_err(|error| json_slip::explain(text, "JSON", &error))
    };
    read(value)
        .or_else(|problem| match read_file(Path::new(value)) {
            Ok(text) => read(&text),
            Err(_) => Err(problem),
        })
        .map_err(|problem| format!("--test_output {}: {problem}", shown(value)))
}

fn has_input(input: Option<&RawValue>) -> bool {
    input.is_some_and(|input| input.get() != "null")
}

/// A file as text. A byte order mark says how it is encoded; without one it is UTF-8.
fn read_file(file: &Path) -> io::Result<String> {
    let bytes = std::fs::read(file)?;
    let wide = |unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).map_err(io::Error::other)
    };
    match *bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8(bytes).map_err(io::Error::other),
    }
}

/// The first line of a text, cut where it is long.
fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut = &line[..line.floor_char_boundary(LONGEST_SHOWN)];
    if cut.len() < text.len() {
        format!("{cut}…")
    } else {
        cut.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a file of these bytes, and the file's path.
    fn file(bytes: &[u8]) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.json");
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (folder, path)
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .flat_map(unit)
            .collect()
    }

    #[test]
    fn an_id_is_made_up_only_where_there_is_none() {
        let id = |text| {
            TestJob::from_flag(text)
                .unwrap()
                .job()
                .unwrap()
                .id()
                .as_str()
                .to_owned()
        };
        assert_eq!(id(r#"{"input": {"n": 1.0}}"#), "local_test");
        assert_eq!(id(r#" {"input": 1, "id": "mine"}"#), "mine");
        let job = TestJob::from_flag(r#"{"input": {"n": 1.0}}"#)
            .unwrap()
            .job()
            .unwrap();
        assert_eq!(job.input().as_bytes(), br#"{"n": 1.0}"#);
    }

    #[test]
    fn a_file_is_read_whatever_its_byte_order_mark() {
        let job = r#"{"input": "é"}"#;
        for bytes in [
            job.as_bytes().to_vec(),
            format!("\u{feff}{job}").into_bytes(),
            utf16(job, u16::to_le_bytes),
            utf16(job, u16::to_be_bytes),
        ] {
            let (_folder, path) = file(&bytes);
            let read = TestJob::from_flag(&path).unwrap();
            assert_eq!(read, TestJob::from_file(Path::new(&path)).unwrap().unwrap());
            assert_eq!(read.job().unwrap().input().as_bytes(), "\"é\"".as_bytes());
        }
        let with_mark = TestJob::from_flag(&format!("\u{feff}{job}")).unwrap();
        assert_eq!(with_mark.text, job);
    }

    #[test]
    fn the_first_test_for_the_hub_is_run_and_named() {
        let tests = r#"{"tests": [{"name": "greets", "input": {"n": 1.0}, "timeout": 10000}, {"input": 2}], "config": {}}"#;
        assert_eq!(
            TestJob::from_flag(tests),
            Ok(TestJob {
                text: r#"{"input": {"n": 1.0}}"#.to_owned(),
                note: Some("These are tests for RunPod's Hub. Running the first of 2 (greets).".to_owned()),
            })
        );
        let own = TestJob::from_flag(r#"{"input": {}, "tests": []}"#).unwrap();
        assert_eq!(own.note, None, "a job that has an input is a job");
    }

    #[test]
    fn what_is_no_job_is_explained_in_a_line() {
        let long = format!("{{'input': {}", "1".repeat(10_000));
        for (given, problem) in [
            (
                "{}",
                "--test_input: the object has no \"input\"; write {\"input\": …}",
            ),
            (
                r#"{"input": null}"#,
                "--test_input: the object has no \"input\"; write {\"input\": …}",
            ),
            (
                r#"{"inputs": 1}"#,
                "--test_input: the object has no \"input\"; write {\"input\": …} in place of {\"inputs\": …}",
            ),
            (
                "[1]",
                "--test_input: not a JSON object: invalid type: sequence, expected a map at line 1 column 0",
            ),
            (
                "{'input': True}",
                "--test_input: not a JSON object: single quotes, as Python writes them; JSON has double ones \
                 (line 1, column 2)",
            ),
            (
                &long,
                "--test_input: not a JSON object: single quotes, as Python writes them; JSON has double ones \
                 (line 1, column 2)",
            ),
            (
                "job.json",
                "--test_input job.json: neither a JSON object, such as '{\"input\": …}', nor a file that can be read \
                 (No such file or directory (os error 2))",
            ),
            (r#"{"tests": []}"#, "--test_input: \"tests\" is empty"),
            (
                r#"{"tests": [{"name": "a"}]}"#,
                "--test_input: the first test (a) has no \"input\"",
            ),
        ] {
            assert_eq!(TestJob::from_flag(given).unwrap_err(), problem);
        }
        let (_folder, path) = file(b"{\"input\": \xff}");
        let problem = TestJob::from_flag(&path).unwrap_err();
        assert!(problem.contains("invalid utf-8 sequence"), "{problem}");
    }

    #[test]
    fn the_expected_output_is_json_or_a_file_of_it() {
        let (_folder, path) = file("\u{feff}[1.0]".as_bytes());
        assert_eq!(expected_output(&path), Ok(serde_json::json!([1.0])));
        assert_eq!(expected_output("7"), Ok(serde_json::json!(7)));
        assert_eq!(
            expected_output("True"),
            Err(
                "--test_output True: not JSON: `True` is Python's; JSON has `true` (line 1, column 1)"
                    .to_owned()
            )
        );
    }
}
