//! A platform that says, channel by channel, exactly what a test wants it to say, and remembers
//! what it was told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::http::{self, Gate, Head, Reply, Request, Service};
use super::soon;

/// What a worker says to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Take,
    Done,
    Stream,
    Stop,
    Ping,
}

impl Channel {
    fn of(target: &str) -> Self {
        match target.split('/').nth(3) {
            Some("job-take" | "job-take-batch") => Self::Take,
            Some("job-done") => Self::Done,
            Some("job-stream") => Self::Stream,
            Some("job-stop") => Self::Stop,
            Some("ping") => Self::Ping,
            _ => panic!("no channel has the address {target}"),
        }
    }
}

/// What happens to one request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Reply(Reply),
    /// The connection is reset when so many bytes of the request's body have come.
    CutUpload(usize),
}

impl Step {
    pub(crate) fn answer(status: u16) -> Self {
        Self::bytes(http::json(status, "{}"))
    }

    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Reply(Reply::Answer(bytes.into()))
    }

    /// A 200 with this JSON.
    pub(crate) fn json(body: impl AsRef<[u8]>) -> Self {
        Self::bytes(http::json(200, body))
    }

    pub(crate) fn reset(after: impl Into<Vec<u8>>) -> Self {
        Self::Reply(Reply::Reset(after.into()))
    }

    /// Nothing until the gate opens, then these bytes.
    pub(crate) fn held(gate: &Gate, bytes: impl Into<Vec<u8>>) -> Self {
        Self::Reply(Reply::Halves(Vec::new(), gate.clone(), bytes.into()))
    }
}

/// The running platform. When a channel has no steps left, takes and stop polls are held, and
/// everything else is answered with 200.
pub(crate) struct Platform {
    address: SocketAddr,
    script: Arc<Script>,
}

#[derive(Debug)]
struct Script(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    requests: Vec<(Channel, Request)>,
    /// How many answers have begun to arrive, by channel.
    answered: [usize; 5],
    steps: [VecDeque<Step>; 5],
    /// What a channel without steps answers; `None` holds the request.
    otherwise: [Option<Step>; 5],
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let mut state = State::default();
        for channel in [Channel::Done, Channel::Stream, Channel::Ping] {
            state.otherwise[channel as usize] = Some(Step::answer(200));
        }
        let script = Arc::new(Script(watch::Sender::new(state)));
        Self {
            address: http::listen(script.clone()).await,
            script,
        }
    }

    /// What this platform sets in a worker's environment.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        let base = format!("http://{}/v2/ep1", self.address);
        vec![
            ("RUNPOD_WEBHOOK_GET_JOB", format!("{base}/job-take/$ID?gpu=A")),
            (
                "RUNPOD_WEBHOOK_POST_OUTPUT",
                format!("{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=A"),
            ),
            (
                "RUNPOD_WEBHOOK_POST_STREAM",
                format!("{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=A"),
            ),
            ("RUNPOD_WEBHOOK_PING", format!("{base}/ping/$RUNPOD_POD_ID?gpu=A")),
            ("RUNPOD_PING_INTERVAL", "250".to_owned()),
            ("RUNPOD_AI_API_KEY", "K".to_owned()),
            ("RUNPOD_POD_ID", "w1".to_owned()),
            ("RUNPOD_ENDPOINT_ID", "ep1".to_owned()),
        ]
    }

    /// What happens next on a channel, after what is planned already.
    pub(crate) fn then(&self, channel: Channel, steps: impl IntoIterator<Item = Step>) {
        self.script
            .0
            .send_modify(|state| state.steps[channel as usize].extend(steps));
    }

    /// What happens on a channel without steps; `None` holds its requests.
    pub(crate) fn otherwise(&self, channel: Channel, step: Option<Step>) {
        self.script
            .0
            .send_modify(|state| state.otherwise[channel as usize] = step);
    }

    /// Hands out a job to the next take.
    pub(crate) fn offer(&self, id: &str, input: &str) {
        let job = format!(r#"{{"id":"{id}","input":{input}}}"#);
        self.then(Channel::Take, [Step::json(job)]);
    }

    /// All requests of a channel so far.
    pub(crate) fn requests(&self, channel: Channel) -> Vec<Request> {
        self.script.0.borrow().of(channel).cloned().collect()
    }

    /// Waits for the `number`th request of a channel, counted from 1.
    pub(crate) async fn request(&self, channel: Channel, number: usize) -> Request {
        self.wait_for(|state| state.of(channel).nth(number - 1).cloned())
            .await
    }

    /// Waits until so many answers on a channel have begun to arrive at the worker.
    pub(crate) async fn answered(&self, channel: Channel, number: usize) {
        self.wait_for(|state| (state.answered[channel as usize] >= number).then_some(()))
            .await;
    }

    /// Waits for a request of a channel that is as `wanted`.
    pub(crate) async fn find(&self, channel: Channel, wanted: impl Fn(&Request) -> bool) -> Request {
        self.wait_for(|state| state.of(channel).find(|request| wanted(request)).cloned())
            .await
    }

    /// Waits for such a request that comes after this moment.
    pub(crate) async fn find_next(&self, channel: Channel, wanted: impl Fn(&Request) -> bool) -> Request {
        let now = Instant::now();
        self.find(channel, |request| request.at > now && wanted(request))
            .await
    }

    /// Waits for a post about a job.
    pub(crate) async fn result_of(&self, job: &str) -> Request {
        self.find(Channel::Done, |post| {
            post.head.header("x-request-id") == Some(job)
        })
        .await
    }

    async fn wait_for<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        let mut states = self.script.0.subscribe();
        let state = soon(states.wait_for(|state| look(state).is_some())).await;
        look(&state.unwrap()).unwrap()
    }
}

impl State {
    fn of(&self, channel: Channel) -> impl Iterator<Item = &Request> {
        self.requests
            .iter()
            .filter(move |(other, _)| *other == channel)
            .map(|(_, request)| request)
    }

    fn ready(&self, channel: Channel) -> bool {
        !self.steps[channel as usize].is_empty() || self.otherwise[channel as usize].is_some()
    }
}

impl Script {
    fn next(&self, channel: Channel) -> Option<Step> {
        let mut step = None;
        self.0.send_modify(|state| {
            let planned = state.steps[channel as usize].pop_front();
            step = planned.or_else(|| state.otherwise[channel as usize].clone());
        });
        step
    }
}

impl Service for Script {
    fn cut_upload(&self, head: &Head) -> Option<usize> {
        let channel = Channel::of(&head.target);
        let cut = match self.0.borrow().steps[channel as usize].front() {
            Some(Step::CutUpload(cut)) => *cut,
            _ => return None,
        };
        self.next(channel);
        Some(cut)
    }

    fn answered(&self, target: &str) {
        let channel = Channel::of(target);
        self.0.send_modify(|state| state.answered[channel as usize] += 1);
    }

    async fn reply(&self, request: Request) -> Reply {
        let channel = Channel::of(&request.head.target);
        self.0
            .send_modify(|state| state.requests.push((channel, request)));
        let mut states = self.0.subscribe();
        loop {
            // The sender lives as long as `self`.
            let _ = states.wait_for(|state| state.ready(channel)).await;
            match self.next(channel) {
                Some(Step::Reply(reply)) => return reply,
                Some(Step::CutUpload(_)) => return Reply::Reset(Vec::new()),
                // Another request was quicker.
                None => {}
            }
        }
    }
}
