//! Many jobs, three workers, and faults everywhere: each job ends once, and as it should.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use mock_webui::MockWebUi;
use runpod_sdk::client::{EndpointClient, JobHandle, JobReport};
use runpod_sdk::local::{EndpointSettings, LocalPlatform, ViolationKind};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::support::http::{self, Head, Reply, Service};
use crate::support::{Program, Request, answer, json, picture, program, seed_of, soon};

const ENDPOINT: &str = "sd";
const JOBS: u32 = 200;
const FIRST_SEED: u32 = 1000;
/// All jobs have ended by then, on a busy machine too.
const ENOUGH: Duration = Duration::from_mins(3);

const TXT2IMG: &str = "/sdapi/v1/txt2img";
const FAILURE: &str = r#"{"error":"RuntimeError","detail":"","body":"","errors":"injected failure"}"#;
const REFUSAL: &str = "injected refusal";

/// What can happen to one request on its way to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fault {
    /// The connection is reset while the body is on its way.
    CutUpload,
    /// The connection is reset before the platform has heard of it.
    Reset,
    /// The platform has heard of it, and its answer is cut in the middle.
    LostAnswer,
    /// Something in between answers.
    Refusal(u16),
}

/// Faults in random order among requests that go well: `size` requests meet each fault once.
struct Deck {
    faults: &'static [Fault],
    size: usize,
    left: Vec<Option<Fault>>,
}

impl Deck {
    fn new(faults: &'static [Fault], size: usize) -> Self {
        let left = Vec::new();
        Self { faults, size, left }
    }

    fn draw(&mut self, random: &mut fastrand::Rng) -> Option<Fault> {
        if self.left.is_empty() {
            self.left = self.faults.iter().copied().map(Some).collect();
            self.left.resize(self.size, None);
            random.shuffle(&mut self.left);
        }
        self.left.pop().flatten()
    }
}

/// What one line does to requests. Of three workers the busiest makes at least 67 of each kind, so that
/// every fault happens.
struct Decks {
    random: fastrand::Rng,
    takes: Deck,
    uploads: Deck,
    results: Deck,
}

impl Decks {
    fn shuffled(seed: u64) -> Self {
        const TAKES: &[Fault] = &[
            Fault::Reset,
            // Its job has to wait until the platform notices that nobody has it.
            Fault::LostAnswer,
            Fault::Refusal(500),
            Fault::Refusal(429),
        ];
        const RESULTS: &[Fault] = &[
            Fault::Reset,
            Fault::Reset,
            Fault::LostAnswer,
            Fault::LostAnswer,
            Fault::Refusal(500),
            Fault::Refusal(500),
            Fault::Refusal(429),
            Fault::Refusal(413),
            Fault::Refusal(404),
        ];
        Self {
            random: fastrand::Rng::with_seed(seed),
            takes: Deck::new(TAKES, 40),
            uploads: Deck::new(&[Fault::CutUpload], 12),
            results: Deck::new(RESULTS, 40),
        }
    }
}

/// A bad line between one worker and the platform.
struct BadLine {
    platform: SocketAddr,
    decks: Mutex<Decks>,
    happened: Arc<Mutex<HashSet<(&'static str, Fault)>>>,
}

impl BadLine {
    /// Draws for a request that is about to come, or has come whole: its fault, if it is to have one.
    fn draw(&self, target: &str, whole: bool) -> Option<Fault> {
        let mut decks = self.decks.lock().unwrap();
        let Decks {
            random,
            takes,
            uploads,
            results,
        } = &mut *decks;
        let (channel, deck) = match target.split('/').nth(3)? {
            "job-take" if whole => ("take", takes),
            "job-done" if whole => ("done", results),
            "job-done" => ("done", uploads),
            _ => return None,
        };
        let fault = deck.draw(random)?;
        self.happened.lock().unwrap().insert((channel, fault));
        Some(fault)
    }

    /// Asks the platform. When this is dropped the platform sees its client hang up.
    async fn forward(&self, request: &Request) -> std::io::Result<Vec<u8>> {
        let mut platform = TcpStream::connect(self.platform).await?;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nconnection: close\r\n",
            request.head.method, request.head.target
        );
        for (name, value) in &request.head.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        platform.write_all(head.as_bytes()).await?;
        platform.write_all(b"\r\n").await?;
        platform.write_all(&request.body).await?;
        let mut answer = Vec::new();
        platform.read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

impl Service for BadLine {
    fn cut_upload(&self, head: &Head) -> Option<usize> {
        self.draw(&head.target, false).map(|_| 100)
    }

    async fn reply(&self, request: Request) -> Reply {
        let fault = self.draw(&request.head.target, true);
        match fault {
            Some(Fault::Refusal(429)) => Reply::Answer(answer(429, &[("retry-after", "0")], "")),
            Some(Fault::Refusal(status)) => Reply::Answer(json(status, REFUSAL)),
            Some(Fault::Reset | Fault::CutUpload) => Reply::Reset(Vec::new()),
            Some(Fault::LostAnswer) => match self.forward(&request).await {
                Ok(bytes) => Reply::Reset(bytes[..bytes.len() / 2].to_vec()),
                Err(_) => Reply::Reset(Vec::new()),
            },
            None => match self.forward(&request).await {
                Ok(bytes) => Reply::Answer(bytes),
                Err(_) => Reply::Reset(Vec::new()),
            },
        }
    }
}

/// What the WebUI does about a job. The seed decides, so that it is the same on every worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Render {
    Works,
    /// It works at the third try.
    Stumbles,
    Fails,
    /// The answer is valid but for its end.
    Truncated,
}

impl Render {
    fn of(seed: u32) -> Self {
        match seed {
            _ if seed % 25 == 9 => Self::Truncated,
            _ if seed % 10 == 3 => Self::Fails,
            _ if seed % 10 == 6 => Self::Stumbles,
            _ => Self::Works,
        }
    }

    /// The words by which an error names this fault; `None` if there is a picture.
    fn error(self) -> Option<&'static str> {
        match self {
            Self::Works | Self::Stumbles => None,
            Self::Fails => Some("injected failure"),
            Self::Truncated => Some("the text ends after 12 bytes"),
        }
    }
}

/// A WebUI that fails for some jobs: for some twice, for some always.
async fn webui() -> MockWebUi {
    let webui = MockWebUi::start().await;
    let seed = |request: &wiremock::Request| -> Option<u32> {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        u32::try_from(body["seed"].as_u64()?).ok()
    };
    let render = move |request: &wiremock::Request| seed(request).map(Render::of);
    for (kind, body) in [
        (
            Render::Fails,
            ResponseTemplate::new(500).set_body_raw(FAILURE, "application/json"),
        ),
        (
            Render::Truncated,
            ResponseTemplate::new(200).set_body_raw(r#"{"injected":"#, "application/json"),
        ),
    ] {
        Mock::given(path(TXT2IMG))
            .and(move |request: &wiremock::Request| render(request) == Some(kind))
            .respond_with(body)
            .with_priority(1)
            .mount(webui.stubs())
            .await;
    }
    let tries = Mutex::new(HashMap::new());
    let stumbles = move |request: &wiremock::Request| {
        let mut tries = tries.lock().unwrap();
        let count: &mut u32 = tries.entry(seed(request)).or_default();
        *count += 1;
        render(request) == Some(Render::Stumbles) && *count <= 2
    };
    Mock::given(path(TXT2IMG))
        .and(stumbles)
        .respond_with(ResponseTemplate::new(502))
        .with_priority(2)
        .mount(webui.stubs())
        .await;
    webui
}

fn start_worker(platform: &LocalPlatform, line: SocketAddr, id: &str, webui: &MockWebUi) -> Program {
    let mut command = program();
    for (name, value) in platform.worker_env(ENDPOINT, id) {
        let value = value.replace(&platform.address().to_string(), &line.to_string());
        command.env(name, value);
    }
    command
        .env("RUNPOD_PING_INTERVAL", "500")
        .env("SD_WORKER_WEBUI_URL", webui.url());
    Program::start(command)
}

/// Panics unless the job ended as its seed and the injected faults allow.
fn judge(seed: u32, report: &JobReport) {
    let expected = Render::of(seed).error();
    match report.status.as_str() {
        "COMPLETED" => {
            assert_eq!(expected, None, "seed {seed} had no picture to give");
            assert_eq!(seed_of(&report.output().unwrap()), u64::from(seed));
        }
        "FAILED" => {
            let error = report.error().unwrap();
            // Even a failure can be refused, but then nothing smaller is left to say.
            let named = expected.is_some_and(|words| error.contains(words)) || error.contains(REFUSAL);
            assert!(named, "seed {seed}: {error}");
        }
        other => panic!("seed {seed} ended as {other}"),
    }
}

#[tokio::test]
async fn two_hundred_jobs_on_three_workers_end_exactly_once_each_with_its_own_picture() {
    let settings = EndpointSettings::default()
        .ping_window(Duration::from_secs(3))
        .retry_limit(50);
    let platform = LocalPlatform::builder()
        .endpoint_with(ENDPOINT, settings)
        .start()
        .await
        .unwrap();
    let client = EndpointClient::builder(ENDPOINT)
        .base_url(platform.client_base_url())
        .api_key("any")
        .build()
        .unwrap();
    let happened = Arc::new(Mutex::new(HashSet::new()));
    let mut workers = Vec::new();
    let mut webuis = Vec::new();
    for number in 1..=3 {
        let line = BadLine {
            platform: platform.address(),
            decks: Mutex::new(Decks::shuffled(number)),
            happened: happened.clone(),
        };
        let line = http::listen(Arc::new(line)).await;
        let webui = webui().await;
        workers.push(start_worker(&platform, line, &format!("worker-{number}"), &webui));
        webuis.push(webui);
    }

    let mut jobs = Vec::new();
    for seed in FIRST_SEED..FIRST_SEED + JOBS {
        let input: Value = serde_json::from_str(&picture(seed)).unwrap();
        jobs.push(soon(client.run(&input)).await.unwrap());
    }
    let reports = tokio::time::timeout(ENOUGH, join_all(jobs.iter().map(JobHandle::wait)))
        .await
        .expect("some job never ended");
    let mut completed = 0;
    for (seed, report) in (FIRST_SEED..).zip(&reports) {
        let report = report.as_ref().unwrap();
        judge(seed, report);
        completed += u32::from(report.status.as_str() == "COMPLETED");
    }

    for mut worker in workers {
        worker.signal("TERM").await;
        assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.log());
    }
    // Nothing that came later has changed an end.
    for (job, before) in jobs.iter().zip(reports) {
        let (before, after) = (before.unwrap(), soon(job.status()).await.unwrap());
        assert_eq!(after.status, before.status);
        assert_eq!(after.raw_output(), before.raw_output());
        assert_eq!(after.error(), before.error());
    }
    let snapshot = platform.snapshot(ENDPOINT).unwrap();
    assert_eq!((snapshot.in_queue, snapshot.in_progress), (0, 0));
    assert_eq!(snapshot.completed, u64::from(completed));
    assert_eq!(snapshot.completed + snapshot.failed, u64::from(JOBS));
    for webui in &webuis {
        assert!(webui.gpu().renders() > 0, "a worker did nothing");
    }
    // Lost answers look like misconduct to the platform. What no fault explains is misconduct.
    let violations = platform.violations();
    let mut unexplained = violations.iter().filter(|violation| {
        !matches!(
            violation.kind,
            ViolationKind::SecondResult
                | ViolationKind::JobNotHeld
                | ViolationKind::MissingPings
                | ViolationKind::IdleWhileHolding
        )
    });
    assert_eq!(unexplained.next(), None);
    assert_eq!(happened.lock().unwrap().len(), 4 + 7, "every fault has happened");
}
