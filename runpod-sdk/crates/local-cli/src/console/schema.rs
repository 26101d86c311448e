//! The JSON Schema of the worker's input, for the form.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

/// Programs that are known to print their schema and nothing else. Any other command could do anything.
const ASKED: [&str; 1] = ["sd-worker"];
/// How long one of them may take for it.
const LIMIT: Duration = Duration::from_secs(10);

/// The schema in the file, or that of a command that is known to print its own.
pub(crate) async fn schema(file: Option<&Path>, command: &[OsString]) -> anyhow::Result<Option<Value>> {
    if let Some(file) = file {
        let text =
            std::fs::read(file).with_context(|| format!("--schema: cannot read {}", file.display()))?;
        let schema = serde_json::from_slice(&text)
            .with_context(|| format!("--schema: {} is no JSON", file.display()))?;
        return Ok(Some(schema));
    }
    let Some(program) = command.first().filter(|program| is_asked(program)) else {
        return Ok(None);
    };
    let printed = tokio::process::Command::new(program)
        .arg("--schema")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let printed = tokio::time::timeout(LIMIT, printed).await;
    Ok(printed.ok().and_then(Result::ok).and_then(|printed| {
        let schema = serde_json::from_slice(&printed.stdout).ok();
        schema.filter(|_| printed.status.success())
    }))
}

fn is_asked(program: &OsString) -> bool {
    let name = Path::new(program).file_name();
    name.is_some_and(|name| ASKED.iter().any(|asked| name == *asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_and_an_unknown_command_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("schema.json");
        std::fs::write(&file, r#"{"type":"object"}"#).unwrap();
        let found = schema(Some(&file), &[]).await.unwrap().unwrap();
        assert_eq!(found["type"], "object");
        let trap = folder.path().join("ran");
        let command = ["touch".into(), trap.clone().into()];
        assert_eq!(schema(None, &command).await.unwrap(), None);
        assert!(!trap.exists());
        std::fs::write(&file, "{").unwrap();
        assert!(
            schema(Some(&file), &[])
                .await
                .unwrap_err()
                .to_string()
                .contains("no JSON")
        );
    }
}
