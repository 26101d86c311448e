//! The worker's options: command line first, then environment, then default.

mod backend;
mod cache;
mod output;
mod progress;
mod requests;
mod stream;
mod tuning;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use reqwest::Url;
use secrecy::SecretString;

pub use self::backend::BackendSettings;
pub use self::cache::CacheSettings;
pub use self::output::{OutputMode, OutputSettings, Reencode};
pub use self::progress::ProgressSettings;
pub use self::requests::RequestSettings;
pub use self::stream::StreamSettings;
pub use self::tuning::Tuning;

/// Options of the worker. `--help` describes them.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "sd-worker",
    version,
    about = "A RunPod Serverless worker for the AUTOMATIC1111 Stable Diffusion WebUI.",
    long_about = LONG_ABOUT,
    after_long_help = AFTER_HELP,
    term_width = 100
)]
#[non_exhaustive]
pub struct Settings {
    /// Where the WebUI listens, with a path if it is served under one: `http://127.0.0.1:3000/webui`
    #[arg(
        long,
        env = "SD_WORKER_WEBUI_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:3000"
    )]
    pub webui_url: WebUiUrl,

    /// Credentials of a WebUI that was started with `--api-auth`. Prefer the variable: other
    /// processes can see a command line
    #[arg(long, env = "SD_WORKER_WEBUI_AUTH", value_name = "USER:PASSWORD")]
    pub webui_auth: Option<Credentials>,

    /// How long the WebUI may take to become ready before the worker gives up with exit code 1; 0 waits
    /// for ever
    #[arg(long, env = "SD_WORKER_READY_TIMEOUT", value_name = "TIME", default_value = "15m", value_parser = time)]
    pub ready_timeout: Duration,

    /// How long one attempt at an inference may take. An attempt that took longer is not repeated
    #[arg(long, env = "SD_WORKER_ATTEMPT_TIMEOUT", value_name = "TIME", default_value = "600s", value_parser = time)]
    pub attempt_timeout: Duration,

    /// How often an inference is tried again when the WebUI answers 502, 503 or 504 or accepts no
    /// connection
    #[arg(long, env = "SD_WORKER_RETRIES", value_name = "NUMBER", default_value_t = 10)]
    pub retries: u32,

    /// What jobs may ask for.
    #[command(flatten)]
    pub requests: RequestSettings,

    /// Whether a request that comes again is rendered again
    #[command(flatten)]
    pub cache: CacheSettings,

    /// How pictures are delivered
    #[command(flatten)]
    pub output: OutputSettings,

    /// Whether pictures come one by one
    #[command(flatten)]
    pub stream: StreamSettings,

    /// What to do instead of taking jobs
    #[command(subcommand)]
    pub command: Option<Command>,

    /// What is told of a render while it runs
    #[command(flatten)]
    pub progress: ProgressSettings,

    /// How the WebUI is started, watched and mended
    #[command(flatten)]
    pub backend: BackendSettings,

    /// What is no option
    #[arg(skip)]
    pub tuning: Tuning,
}

/// What the program can do beside taking jobs.
#[derive(Debug, Clone, clap::Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Look whether everything is there that this worker needs, and say what mends what is not
    Doctor(crate::doctor::Doctor),
}

const LONG_ABOUT: &str = "\
A RunPod Serverless worker for the AUTOMATIC1111 Stable Diffusion WebUI.

It waits for the WebUI on the same pod, takes jobs from RunPod, sends each job's input to
/sdapi/v1/txt2img as it is, and hands the answer back as it is.

Quick start, with a WebUI on port 3000 (python webui.py --api --nowebui --port 3000):

    sd-worker --test_input '{\"input\": {\"prompt\": \"an astronaut riding a horse\", \"steps\": 20}}'

On RunPod it needs no options: start it beside the WebUI, and the platform's own variables say where
its jobs are.";

const AFTER_HELP: &str = "\
Times are written 200ms, 90s or 15m; a bare number means seconds. An option on the command line wins
over its variable; an empty variable counts as unset.

Environment of every worker built with this SDK:
  RUNPOD_WORKER_CONCURRENCY      jobs at once (1); the WebUI renders one at a time all the same
  RUNPOD_WORKER_TIMEOUT          how long one job may run
  RUNPOD_WORKER_CANCEL_GRACE     for stopping the render of a cancelled job (10s)
  RUNPOD_WORKER_SHUTDOWN_GRACE   for running jobs after SIGTERM (10m)
  RUNPOD_WORKER_DELIVERY_WINDOW  for delivering one result (5m)
  RUNPOD_LOG_LEVEL, RUST_LOG     what is logged

Exit codes: 0 told to stop and all results delivered, 1 could not start or go on, 2 bad options.";

/// Base URL of the WebUI, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUiUrl(Url);

impl WebUiUrl {
    /// The URL of one of the API's routes, such as `/sdapi/v1/txt2img`. It may have a query.
    pub(crate) fn route(&self, route: &str) -> Url {
        let (path, query) = match route.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (route, None),
        };
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }
}

impl fmt::Display for WebUiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for WebUiUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}; write http://127.0.0.1:3000"))?;
        if url.scheme() != "http" {
            return Err(
                "write an address that begins with http://, such as http://127.0.0.1:3000".to_owned(),
            );
        }
        if !url.username().is_empty() || url.password().is_some() {
            // Logs show the URL.
            return Err("put the credentials into SD_WORKER_WEBUI_AUTH, not into the URL".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("the URL ends with its path: no ? and no #".to_owned());
        }
        Ok(Self(url))
    }
}

/// User and password for the WebUI's API. `Debug` hides both.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub(crate) user: SecretString,
    pub(crate) password: SecretString,
}

impl FromStr for Credentials {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => Ok(Self {
                user: user.into(),
                password: password.into(),
            }),
            _ => Err("write USER:PASSWORD, with a colon in between"),
        }
    }
}

/// Reads `200ms`, `0.2s`, `15m` or a bare number of seconds.
fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().trim_end_matches('s');
    if let Ok(seconds) = seconds.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    humantime::parse_duration(text).map_err(|_| "write a time such as 200ms, 90s or 15m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_seconds() {
        assert_eq!(time("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(time("0.2s"), Ok(Duration::from_millis(200)));
        assert_eq!(time("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(time("0"), Ok(Duration::ZERO));
        assert_eq!(time("90"), Ok(Duration::from_secs(90)));
        for bad in ["", "10 parsecs", "-1s", "inf"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_may_have_a_path() {
        let route = |base: &str| {
            let url: WebUiUrl = base.parse().unwrap();
            url.route("/sdapi/v1/txt2img").to_string()
        };
        let url: WebUiUrl = "http://h/a".parse().unwrap();
        assert_eq!(url.route("/progress?x=1").as_str(), "http://h/a/progress?x=1");
        assert_eq!(
            route("http://127.0.0.1:3000"),
            "http://127.0.0.1:3000/sdapi/v1/txt2img"
        );
        assert_eq!(route("http://h/webui/"), "http://h/webui/sdapi/v1/txt2img");
        assert_eq!(route("http://h/a/b"), "http://h/a/b/sdapi/v1/txt2img");
    }

    #[test]
    fn a_url_that_can_t_work_is_refused_with_the_remedy() {
        for (bad, remedy) in [
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("https://h", "begins with http://"),
            ("http://u:p@h", "SD_WORKER_WEBUI_AUTH"),
            ("http://h/?a=1", "no ?"),
        ] {
            let error = bad.parse::<WebUiUrl>().unwrap_err();
            assert!(error.contains(remedy), "{bad}: {error}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        let credentials: Credentials = "anna:pass:word".parse().unwrap();
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("anna") && !shown.contains("pass:word"), "{shown}");
        assert_eq!(
            secrecy::ExposeSecret::expose_secret(&credentials.password),
            "pass:word"
        );
        assert!("anna".parse::<Credentials>().is_err());
    }
}
