//! Everything this command waits for has a limit.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// One step of the set-up.
pub(crate) const INSTALL: Duration = Duration::from_mins(5);
/// A question to a program that answers at once.
pub(crate) const QUESTION: Duration = Duration::from_secs(20);
/// All cases of one client.
pub(crate) const CLIENT: Duration = Duration::from_mins(1);
/// One thing a worker or the platform is expected to do.
pub(crate) const STEP: Duration = Duration::from_secs(30);

/// Between two looks at what announces nothing.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a program to its end and keeps what it wrote.
pub(crate) async fn output(command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
    let shown = format!("{command:?}");
    command.stdin(Stdio::null());
    let command = std::mem::replace(command, Command::new(""));
    let ended = tokio::process::Command::from(command).kill_on_drop(true).output();
    match tokio::time::timeout(limit, ended).await {
        Ok(output) => output.with_context(|| format!("cannot run {shown}")),
        Err(_) => bail!("{shown} did not end within {}", humantime::format_duration(limit)),
    }
}

/// What a program wrote, for a message.
pub(crate) fn words(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream));
    both.concat().trim().to_owned()
}

/// Waits for something that is announced.
pub(crate) async fn within<T>(what: &str, event: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(STEP, event)
        .await
        .ok()
        .with_context(|| format!("waited {} in vain for {what}", humantime::format_duration(STEP)))
}

/// Waits for something that can only be looked at.
pub(crate) async fn seen<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if begun.elapsed() > STEP {
            bail!("waited {} in vain for {what}", humantime::format_duration(STEP));
        }
        tokio::time::sleep(LOOK).await;
    }
}
