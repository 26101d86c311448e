//! A job's log lines, from the console of `runpod-local`.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use serde::Deserialize;

use crate::screen;

/// How long lines are waited for that come after their job's end.
const LAST_WORDS: Duration = Duration::from_millis(300);

#[derive(Debug, Deserialize)]
struct Item {
    kind: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    message: String,
}

/// Prints the lines there are, and with `follow` those that come until the job has ended.
pub(super) async fn print(base_url: &str, key: &str, job: &str, follow: bool) -> anyhow::Result<()> {
    runpod_protocol::tls::install_provider();
    let root = base_url.trim_end_matches('/').trim_end_matches("/v2");
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client
        .get(format!("{root}/console/api/jobs/{job}/events"))
        .bearer_auth(key)
        .send()
        .await
        .with_context(|| format!("no answer from {root}"))?;
    let status = answer.status();
    ensure!(
        status != 404,
        "{root} keeps no lines of the job {job}: is it runpod-local, and the id right?"
    );
    ensure!(status.is_success(), "{root} answered {status}");
    let mut pieces = answer.bytes_stream();
    let mut unread = Vec::new();
    let mut ended = false;
    loop {
        let piece = if ended {
            match tokio::time::timeout(LAST_WORDS, pieces.next()).await {
                Ok(piece) => piece,
                Err(_) => return Ok(()),
            }
        } else {
            pieces.next().await
        };
        let Some(piece) = piece else { return Ok(()) };
        unread.extend_from_slice(&piece.context("the stream was cut")?);
        while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
            let event = String::from_utf8_lossy(&unread[..end]).into_owned();
            unread.drain(..end + 2);
            ended = print_event(&event)?.unwrap_or(ended);
            if !follow {
                return Ok(());
            }
        }
    }
}

/// Prints the lines of one event. Says whether the job has ended with it, if the event is about that.
fn print_event(event: &str) -> anyhow::Result<Option<bool>> {
    let data = event.split_once("data: ").map_or("[]", |(_, data)| data);
    let items: Vec<Item> =
        serde_json::from_str(data).context("the console sent something else than items")?;
    let mut ended = None;
    for item in items {
        match item.kind.as_str() {
            "log" if item.level.is_empty() => screen::line(&item.message),
            "log" => screen::line(format_args!("{:<5} {}", item.level, item.message)),
            "ended" => ended = Some(true),
            // It runs again.
            "retried" | "taken" => ended = Some(false),
            _ => {}
        }
    }
    Ok(ended)
}
