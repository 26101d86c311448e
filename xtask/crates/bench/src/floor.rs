//! The least that a worker could be: what every figure is compared with.
//!
//! A loop of three requests on hyper: take a job, send its input to the WebUI, send the whole answer back, byte for
//! byte. It checks nothing, repeats nothing, reports nothing, sends no heartbeat and does not stop in order.

use std::convert::Infallible;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;

/// Runs until it is killed or something goes wrong.
pub(crate) fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("no runtime")?;
    match runtime.block_on(forward_jobs())? {}
}

async fn forward_jobs() -> anyhow::Result<Infallible> {
    let variable = |name: &'static str| std::env::var(name).context(name);
    let worker = variable("RUNPOD_POD_ID")?;
    let key = variable("RUNPOD_AI_API_KEY")?;
    let take = variable("RUNPOD_WEBHOOK_GET_JOB")?.replace("$ID", &worker) + "&job_in_progress=0";
    let done = variable("RUNPOD_WEBHOOK_POST_OUTPUT")?.replace("$RUNPOD_POD_ID", &worker) + "&isStream=false";
    let webui = variable("SD_WORKER_WEBUI_URL")?;

    let (mut platform, take) = connect(&take, &key).await?;
    let (mut webui, _) = connect(&webui, &key).await?;
    let (_, done) = split(&done)?;
    loop {
        let (status, job) = platform.ask(Method::GET, take, Bytes::new(), ["", ""]).await?;
        if status != StatusCode::OK {
            continue;
        }
        let job: Job<'_> = serde_json::from_slice(&job).context("not a job")?;
        let input = Bytes::copy_from_slice(job.input.get().as_bytes());
        let around = [r#"{"output":"#, "}"];
        let (_, result) = webui
            .ask(Method::POST, "/sdapi/v1/txt2img", input, around)
            .await?;
        let done = done.replace("$ID", job.id);
        platform.ask(Method::POST, &done, result, ["", ""]).await?;
    }
}

#[derive(Deserialize)]
struct Job<'a> {
    id: &'a str,
    #[serde(borrow)]
    input: &'a RawValue,
}

/// One kept-alive connection.
pub(crate) struct Server {
    address: String,
    key: String,
    connection: SendRequest<Full<Bytes>>,
}

impl Server {
    /// Sends a request and reads the whole answer into one buffer, between the two texts `around` it.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        target: &str,
        body: Bytes,
        around: [&str; 2],
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, &self.address)
            .header(AUTHORIZATION, &self.key)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        self.connection.ready().await?;
        let mut response = self.connection.send_request(request).await?;
        let announced = response.body().size_hint().exact().unwrap_or_default();
        let length = usize::try_from(announced)? + around[0].len() + around[1].len();
        let mut whole = Vec::with_capacity(length);
        whole.extend_from_slice(around[0].as_bytes());
        while let Some(frame) = response.frame().await {
            if let Some(piece) = frame?.data_ref() {
                whole.extend_from_slice(piece);
            }
        }
        whole.extend_from_slice(around[1].as_bytes());
        Ok((response.status(), whole.into()))
    }
}

/// Connects to a URL's server; what is left of the URL is the request's target.
pub(crate) async fn connect<'a>(url: &'a str, key: &str) -> anyhow::Result<(Server, &'a str)> {
    let (address, target) = split(url)?;
    let stream = TcpStream::connect(address).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    let (connection, serve) = http1::handshake(TokioIo::new(stream)).await?;
    // If it breaks, the next request says so.
    tokio::spawn(serve);
    let server = Server {
        address: address.to_owned(),
        key: key.to_owned(),
        connection,
    };
    Ok((server, target))
}

pub(crate) fn split(url: &str) -> anyhow::Result<(&str, &str)> {
    let Some(rest) = url.strip_prefix("http://") else {
        bail!("not an http:// URL: {url}");
    };
    Ok(rest.find('/').map_or((rest, "/"), |path| rest.split_at(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_an_address_and_a_target() {
        assert_eq!(split("http://h:1/a/b?c").unwrap(), ("h:1", "/a/b?c"));
        assert_eq!(split("http://h:1").unwrap(), ("h:1", "/"));
        assert!(split("https://h").is_err());
    }
}
