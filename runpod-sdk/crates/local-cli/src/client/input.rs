//! What a job is given: from the command line, a file or standard input.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use runpod_client::JobReport;
use serde::Deserialize;
use serde_json::Value;

/// The input of `submit`: JSON, or a file that holds it, or standard input. Of a whole request, its `input`.
pub(super) fn request(argument: &str) -> anyhow::Result<Value> {
    let text = match argument {
        "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .context("cannot read standard input")?;
            text
        }
        json if serde_json::from_str::<Value>(json).is_ok() => json.to_owned(),
        file => std::fs::read_to_string(file)
            .with_context(|| format!("`{file}` is neither JSON nor a file that can be read"))?,
    };
    let value: Value = serde_json::from_str(&text).context("the input is no JSON")?;
    Ok(input_of(value))
}

fn input_of(value: Value) -> Value {
    match value {
        Value::Object(mut fields) if fields.contains_key("input") => {
            fields.remove("input").unwrap_or_default()
        }
        other => other,
    }
}

/// A test case as the console saves it.
#[derive(Debug, Deserialize)]
pub(super) struct TestCase {
    pub(super) input: Value,
    #[serde(default)]
    expect: Expectation,
}

#[derive(Debug, Default, Deserialize)]
struct Expectation {
    status: Option<String>,
    code: Option<String>,
}

impl TestCase {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no test case", file.display()))
    }

    /// What is not as expected, in words. Without an expectation, a job has to complete.
    pub(super) fn differs_from(&self, report: &JobReport) -> Option<String> {
        let code = report
            .failure()
            .and_then(|failure| failure.code.or(failure.error_type));
        self.difference(report.status.as_str(), code.as_deref())
    }

    fn difference(&self, status: &str, code: Option<&str>) -> Option<String> {
        let expected = self.expect.status.as_deref().unwrap_or("COMPLETED");
        if status != expected {
            return Some(format!("expected {expected}, and it ended as {status}"));
        }
        let wanted = self.expect.code.as_deref()?;
        (code != Some(wanted)).then(|| {
            format!(
                "expected the code {wanted}, and it has {}",
                code.unwrap_or("none")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_input_is_json_or_a_file_and_a_whole_request_is_unwrapped() {
        assert_eq!(request(r#"{"a": 1}"#).unwrap(), json!({"a": 1}));
        assert_eq!(
            request(r#"{"input": {"a": 1}, "id": "x"}"#).unwrap(),
            json!({"a": 1})
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input.json");
        std::fs::write(&file, "[1]").unwrap();
        assert_eq!(request(file.to_str().unwrap()).unwrap(), json!([1]));
        assert!(
            request("nowhere.json")
                .unwrap_err()
                .to_string()
                .contains("neither JSON nor a file")
        );
    }

    #[test]
    fn a_test_case_fails_by_its_status_and_by_its_code() {
        let case = |text: &str| serde_json::from_str::<TestCase>(text).unwrap();
        let plain = case(r#"{"input": 1}"#);
        assert_eq!(plain.difference("COMPLETED", None), None);
        assert!(
            plain
                .difference("FAILED", None)
                .unwrap()
                .contains("ended as FAILED")
        );
        let failing = case(r#"{"id": "j", "input": 1, "expect": {"status": "FAILED", "code": "A"}}"#);
        assert_eq!(failing.difference("FAILED", Some("A")), None);
        assert!(
            failing
                .difference("FAILED", Some("B"))
                .unwrap()
                .contains("it has B")
        );
        assert!(failing.difference("COMPLETED", None).is_some());
    }
}
