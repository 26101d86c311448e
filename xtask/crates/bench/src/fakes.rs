//! The platform and the WebUI that a worker under test talks to, and the times of all it did.
//!
//! They do the least that a worker can work with, so that what is measured is the worker. Jobs that wait are handed
//! out at once, a render takes the time that the plan names, and its answer was made beforehand.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::http::{Connection, Request, answer};

/// How long a poll for jobs or stop signals stays open when there are none.
const HOLD: Duration = Duration::from_secs(10);
/// The worker's id on the fake platform.
const WORKER: &str = "bench-worker";
/// The input of every job, as large as a usual one.
const INPUT: &str = r#"{"prompt":"a lighthouse on a cliff, oil painting, evening light","negative_prompt":"blurry, low quality","steps":20,"cfg_scale":7.0,"width":512,"height":512,"seed":1234567,"sampler_name":"Euler a"}"#;

/// Which jobs are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jobs {
    /// Of one input, and usual.
    Alike,
    /// Small ones of different prompts.
    Different {
        /// The number of different sizes.
        sizes: usize,
        /// The number of the job whose prompt says "guilty".
        guilty: Option<usize>,
    },
}

impl Jobs {
    fn input(self, number: usize) -> String {
        let Self::Different { sizes, guilty } = self else {
            return INPUT.to_owned();
        };
        let word = if guilty == Some(number) { "guilty" } else { "good" };
        let height = 64 + 8 * (number % sizes.max(1));
        format!(
            r#"{{"prompt":"a {word} lighthouse, number {number}","steps":20,"width":64,"height":{height},"seed":{number}}}"#
        )
    }
}

/// What the fakes do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// How long a render takes.
    pub(crate) render: Duration,
    /// Bytes in the body of a render's answer.
    pub(crate) answer: usize,
    /// Hand out a job only when the one before it has been delivered.
    pub(crate) one_at_a_time: bool,
    /// How long a take or a result is on its way to the platform and back, at least.
    pub(crate) round_trip: Duration,
    pub(crate) jobs: Jobs,
}

/// When a render was where, as the WebUI saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Render {
    /// The request's first byte came.
    pub(crate) begun: Instant,
    /// The request was complete.
    pub(crate) asked: Instant,
    /// The answer's last byte went.
    pub(crate) answered: Instant,
}

/// When a job was where, as the platform saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    /// The job's last byte went.
    pub(crate) handed_out: Instant,
    /// The result's last byte came.
    pub(crate) delivered: Instant,
}

/// All that was seen of a worker.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) first_take: Option<Instant>,
    pub(crate) renders: Vec<Render>,
    pub(crate) deliveries: Vec<Delivery>,
    /// Something that should not have happened: the measurement is void.
    pub(crate) broken: Option<String>,
}

/// Both servers. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Fakes {
    stage: Arc<Stage>,
    platform: SocketAddr,
    webui: SocketAddr,
}

#[derive(Debug)]
struct Stage {
    plan: Plan,
    /// The whole answer to a render.
    rendered: Vec<u8>,
    state: Mutex<State>,
    /// Notified when held polls may have an answer.
    changed: Condvar,
    /// Notified when what a measurement waits for may have happened.
    seen: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many jobs may be handed out in all.
    released: usize,
    /// When each job was handed out, until it is delivered; its number is its place.
    handed_out: Vec<Option<Instant>>,
    delivered: usize,
    record: Record,
    closed: bool,
}

impl State {
    /// Whether there is nothing left to wait for.
    fn is_over(&self) -> bool {
        self.record.broken.is_some() || self.delivered >= self.released
    }
}

impl Fakes {
    pub(crate) fn start(plan: Plan) -> anyhow::Result<Self> {
        let stage = Arc::new(Stage {
            plan,
            rendered: answer("200 OK", &picture(plan.answer)),
            state: Mutex::default(),
            changed: Condvar::new(),
            seen: Notify::new(),
        });
        let platform = listen(&stage, Stage::platform)?;
        let webui = listen(&stage, Stage::webui)?;
        Ok(Self {
            stage,
            platform,
            webui,
        })
    }

    /// What the platform, and the image, set in a worker's environment.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let base = format!("http://{}/v2/bench", self.platform);
        vec![
            ("RUNPOD_WEBHOOK_GET_JOB", format!("{base}/job-take/$ID?gpu=bench")),
            (
                "RUNPOD_WEBHOOK_POST_OUTPUT",
                format!("{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=bench"),
            ),
            (
                "RUNPOD_WEBHOOK_POST_STREAM",
                format!("{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=bench"),
            ),
            (
                "RUNPOD_WEBHOOK_PING",
                format!("{base}/ping/$RUNPOD_POD_ID?gpu=bench"),
            ),
            ("RUNPOD_PING_INTERVAL", "10000".to_owned()),
            ("RUNPOD_AI_API_KEY", "bench-key".to_owned()),
            ("RUNPOD_ENDPOINT_ID", "bench".to_owned()),
            ("RUNPOD_POD_ID", WORKER.to_owned()),
            ("RUNPOD_POD_HOSTNAME", "bench".to_owned()),
            ("SD_WORKER_WEBUI_URL", format!("http://{}", self.webui)),
        ]
    }

    /// Puts a number of jobs into the queue.
    pub(crate) fn release(&self, jobs: usize) {
        self.stage.lock().released += jobs;
        self.stage.changed.notify_all();
    }

    /// Waits until every released job has been delivered.
    pub(crate) async fn all_delivered(&self) {
        // A permit is kept if the notification comes between the look and the wait.
        while !self.stage.lock().is_over() {
            self.stage.seen.notified().await;
        }
    }

    /// Waits for the worker's first take, and tells when its first byte came.
    pub(crate) async fn first_take(&self) -> Instant {
        loop {
            if let Some(at) = self.stage.lock().record.first_take {
                return at;
            }
            self.stage.seen.notified().await;
        }
    }

    /// What was seen so far; from here on nothing has been.
    pub(crate) fn take_record(&self) -> anyhow::Result<Record> {
        let record = std::mem::take(&mut self.stage.lock().record);
        match record.broken {
            None => Ok(record),
            Some(what) => anyhow::bail!("a measurement is void: {what}"),
        }
    }
}

impl Drop for Fakes {
    fn drop(&mut self) {
        self.stage.lock().closed = true;
        self.stage.changed.notify_all();
        // The accepting threads look up only for a connection.
        for address in [self.platform, self.webui] {
            let _ = TcpStream::connect(address);
        }
    }
}

type Serve = fn(&Stage, &mut Connection, &Request) -> io::Result<()>;

/// Serves each connection on a thread of its own.
fn listen(stage: &Arc<Stage>, serve: Serve) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on loopback")?;
    let address = listener.local_addr().context("a listener without an address")?;
    let stage = stage.clone();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            if stage.lock().closed {
                return;
            }
            let stage = stage.clone();
            thread::spawn(move || {
                // A worker that hangs up, or is killed, ends its connections.
                let _ = stage.converse(stream, serve);
            });
        }
    });
    Ok(address)
}

impl Stage {
    fn converse(&self, stream: TcpStream, serve: Serve) -> io::Result<()> {
        let mut connection = Connection::new(stream)?;
        while let Some(request) = connection.request()? {
            serve(self, &mut connection, &request)?;
        }
        Ok(())
    }

    fn platform(&self, connection: &mut Connection, request: &Request) -> io::Result<()> {
        let path = request.target.split('?').next().unwrap_or_default();
        let channel = path
            .strip_prefix("/v2/bench/")
            .and_then(|path| path.split('/').next());
        match channel {
            Some("job-take" | "job-take-batch") => self.take(connection, request),
            Some("job-done") => self.done(connection, request, path),
            Some("job-stop") => {
                let state = self.held(self.lock(), |_| false);
                drop(state);
                connection.send(&answer("204 No Content", b"")).map(drop)
            }
            Some("ping") => connection.send(&answer("200 OK", b"")).map(drop),
            _ => {
                self.lock().record.broken = Some(format!("the worker asked for {}", request.target));
                self.seen.notify_one();
                connection.send(&answer("404 Not Found", b"")).map(drop)
            }
        }
    }

    fn take(&self, connection: &mut Connection, request: &Request) -> io::Result<()> {
        self.travel();
        let mut state = self.lock();
        if state.record.first_take.is_none() {
            state.record.first_take = Some(request.begun);
            self.seen.notify_one();
        }
        let ready = |state: &State| {
            let number = state.handed_out.len();
            number < state.released && (!self.plan.one_at_a_time || number == state.delivered)
        };
        state = self.held(state, ready);
        if !self.plan.round_trip.is_zero() {
            // There is one worker, with one take at a time: no other take can have the job meanwhile.
            drop(state);
            self.travel();
            state = self.lock();
        }
        if state.closed || !ready(&state) {
            drop(state);
            return connection.send(&answer("204 No Content", b"")).map(drop);
        }
        let job = |number| {
            format!(
                r#"{{"id":"bench-{number}","input":{}}}"#,
                self.plan.jobs.input(number)
            )
        };
        let first = state.handed_out.len();
        let (jobs, body) = match batch_size(&request.target) {
            None => (1, job(first)),
            Some(most) => {
                let jobs = most.min(state.released - first);
                let list: Vec<String> = (first..first + jobs).map(job).collect();
                (jobs, format!("[{}]", list.join(",")))
            }
        };
        // The lock is held while these few bytes go out, so that a result cannot come before this is noted.
        let handed_out = connection.send(&answer("200 OK", body.as_bytes()))?;
        state.handed_out.resize(first + jobs, Some(handed_out));
        Ok(())
    }

    fn done(&self, connection: &mut Connection, request: &Request, path: &str) -> io::Result<()> {
        let bytes = connection.skip_body(request)?;
        self.travel();
        let delivered = Instant::now();
        let number = path
            .rsplit_once("/bench-")
            .and_then(|(_, number)| number.parse().ok());
        self.travel();
        // The next job is handed out after this answer, not at the same time.
        let sent = connection.send(&answer("200 OK", b"{}"));
        let mut state = self.lock();
        let handed_out = number.and_then(|number: usize| state.handed_out.get_mut(number)?.take());
        match handed_out {
            Some(handed_out) if bytes >= self.plan.answer => {
                state.delivered += 1;
                state.record.deliveries.push(Delivery {
                    handed_out,
                    delivered,
                });
            }
            Some(_) => state.record.broken = Some(format!("a result of {bytes} bytes")),
            None => state.record.broken = Some(format!("a result for no job: {path}")),
        }
        let over = state.is_over();
        drop(state);
        if self.plan.one_at_a_time {
            self.changed.notify_all();
        }
        if over {
            self.seen.notify_one();
        }
        sent.map(drop)
    }

    fn webui(&self, connection: &mut Connection, request: &Request) -> io::Result<()> {
        connection.skip_body(request)?;
        let body: &[u8] = match request.target.split('?').next().unwrap_or_default() {
            "/sdapi/v1/txt2img" => return self.render(connection, request),
            "/sdapi/v1/sd-models" => br#"[{"title":"bench","model_name":"bench"}]"#,
            "/sdapi/v1/samplers" => br#"[{"name":"Euler a","aliases":[]}]"#,
            // The mark of a version that takes sampler names as they come.
            "/sdapi/v1/schedulers" => br#"[{"name":"align_your_steps","label":"Align Your Steps"}]"#,
            "/sdapi/v1/progress" => br#"{"progress":0.0,"eta_relative":0.0,"state":{}}"#,
            _ => b"null",
        };
        connection.send(&answer("200 OK", body)).map(drop)
    }

    fn render(&self, connection: &mut Connection, request: &Request) -> io::Result<()> {
        let asked = Instant::now();
        if !self.plan.render.is_zero() {
            thread::sleep(self.plan.render);
        }
        let answered = connection.send(&self.rendered)?;
        self.lock().record.renders.push(Render {
            begun: request.begun,
            asked,
            answered,
        });
        Ok(())
    }

    /// One way between worker and platform.
    fn travel(&self) {
        if !self.plan.round_trip.is_zero() {
            thread::sleep(self.plan.round_trip / 2);
        }
    }

    /// Holds a poll open until there is something to say, its time is over, or the end has come.
    fn held<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        ready: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let waiting = |state: &mut State| !state.closed && !ready(state);
        self.changed.wait_while_for(&mut state, waiting, HOLD);
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// How many jobs a take wants at most, if it is the kind that says so.
fn batch_size(target: &str) -> Option<usize> {
    let (_, size) = target.split_once("batch_size=")?;
    size.split('&').next()?.parse().ok()
}

/// An answer of the WebUI of a given size in bytes. What is in the picture does not matter; that it is one long text does.
fn picture(bytes: usize) -> Vec<u8> {
    let (start, end) = (r#"{"images":[""#, r#""],"parameters":{},"info":"{}"}"#);
    let pixels = bytes.saturating_sub(start.len() + end.len());
    // The alphabet of base64, so that nothing can be guessed from a run of equal bytes.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(bytes);
    text.extend_from_slice(start.as_bytes());
    text.extend(alphabet.iter().cycle().take(pixels));
    text.extend_from_slice(end.as_bytes());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_take_for_several_says_how_many() {
        assert_eq!(
            batch_size("/job-take-batch/w?gpu=A&batch_size=3&job_in_progress=0"),
            Some(3)
        );
        assert_eq!(batch_size("/job-take/w?gpu=A&job_in_progress=0"), None);
    }

    #[test]
    fn a_picture_is_json_of_the_size_asked_for() {
        let text = picture(1000);
        assert_eq!(text.len(), 1000);
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert!(value["images"][0].as_str().unwrap().len() > 900);
    }
}
