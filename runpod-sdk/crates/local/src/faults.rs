//! Faults on purpose: what the platform and the network do to a worker on a bad day.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use runpod_protocol::sync::Mutex;

/// A fault, and how often it strikes. Its text form is `KIND[:VALUE][*TIMES]`:
///
/// | text | what happens |
/// |---|---|
/// | `refuse-result:STATUS[,BYTES]` | a result, of at least BYTES, is answered with STATUS |
/// | `lose-result` | a result is acknowledged and thrown away |
/// | `delay-progress:TIME` | a progress update is taken, and answered, this much later |
/// | `slow-network:TIME` | every call of a worker takes this much longer |
/// | `deliver-twice:running` | a job that a worker has is handed out once more |
/// | `deliver-twice:done` | a job that is done is handed out once more |
///
/// Without `*TIMES` it strikes until it is removed.
///
/// ```
/// use runpod_sdk::local::{Fault, FaultKind};
///
/// let fault: Fault = "refuse-result:500*3".parse()?;
/// assert_eq!(fault.kind, FaultKind::RefuseResult { status: 500, from_bytes: 0 });
/// assert_eq!(fault.times, Some(3));
/// # Ok::<_, runpod_sdk::local::FaultError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// How often; `None` for always.
    pub times: Option<u32>,
}

/// What a [`Fault`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A result is refused.
    RefuseResult {
        /// The status of the answer, 400 to 599.
        status: u16,
        /// Smaller results are taken.
        from_bytes: usize,
    },
    /// A result is acknowledged, and the job goes on as if it had never come.
    LoseResult,
    /// A progress update is taken, and answered, this much later.
    DelayProgress(Duration),
    /// Every call of a worker is taken this much later.
    SlowNetwork(Duration),
    /// A job that was handed out is handed out once more, while it runs.
    DeliverRunningJobTwice,
    /// A job whose result came is handed out once more.
    DeliverDoneJobTwice,
}

/// A text that is no [`Fault`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no fault; write one such as {EXAMPLES}")]
pub struct FaultError(String);

const EXAMPLES: &str = "`refuse-result:500*3`, `refuse-result:413,1000000`, `lose-result*1`, `delay-progress:2s`, \
                        `slow-network:200ms`, `deliver-twice:running*1`, `deliver-twice:done*1`";

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let parsed = || {
            let (what, times) = match text.split_once('*') {
                Some((what, times)) => (what, Some(times.parse().ok().filter(|times| *times > 0)?)),
                None => (text, None),
            };
            let (name, value) = what.split_once(':').unwrap_or((what, ""));
            let kind = FaultKind::parse(name.trim(), value.trim())?;
            Some(Self { kind, times })
        };
        parsed().ok_or_else(|| FaultError(text.to_owned()))
    }
}

impl FaultKind {
    fn parse(name: &str, value: &str) -> Option<Self> {
        let time = || humantime::parse_duration(value).ok();
        Some(match (name, value) {
            ("refuse-result", value) => {
                let (status, bytes) = value.split_once(',').unwrap_or((value, "0"));
                let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
                let from_bytes = bytes.trim().parse().ok()?;
                Self::RefuseResult { status, from_bytes }
            }
            ("lose-result", "") => Self::LoseResult,
            ("delay-progress", _) => Self::DelayProgress(time()?),
            ("slow-network", _) => Self::SlowNetwork(time()?),
            ("deliver-twice", "running") => Self::DeliverRunningJobTwice,
            ("deliver-twice", "done") => Self::DeliverDoneJobTwice,
            _ => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_duration;
        let what = match self.kind {
            FaultKind::RefuseResult {
                status,
                from_bytes: 0,
            } => format!("refuse-result:{status}"),
            FaultKind::RefuseResult { status, from_bytes } => format!("refuse-result:{status},{from_bytes}"),
            FaultKind::LoseResult => "lose-result".to_owned(),
            FaultKind::DelayProgress(delay) => format!("delay-progress:{}", time(delay)),
            FaultKind::SlowNetwork(delay) => format!("slow-network:{}", time(delay)),
            FaultKind::DeliverRunningJobTwice => "deliver-twice:running".to_owned(),
            FaultKind::DeliverDoneJobTwice => "deliver-twice:done".to_owned(),
        };
        f.write_str(&what)?;
        self.times.map_or(Ok(()), |times| write!(f, "*{times}"))
    }
}

/// A fault that was injected. See [`LocalPlatform::faults`](crate::LocalPlatform::faults).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveFault {
    /// Names it for its removal.
    pub id: u64,
    /// What it does, and how often at first.
    pub fault: Fault,
    /// How often it has struck.
    pub struck: u32,
}

impl ActiveFault {
    /// Whether it will strike again.
    pub fn is_spent(&self) -> bool {
        self.fault.times.is_some_and(|times| self.struck >= times)
    }
}

/// The faults of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<FaultList>);

#[derive(Debug, Default)]
struct FaultList {
    added: u64,
    faults: Vec<ActiveFault>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> u64 {
        let mut list = self.0.lock();
        list.added += 1;
        let id = list.added;
        list.faults.push(ActiveFault { id, fault, struck: 0 });
        id
    }

    pub(crate) fn remove(&self, id: u64) -> bool {
        let faults = &mut self.0.lock().faults;
        let before = faults.len();
        faults.retain(|fault| fault.id != id);
        faults.len() < before
    }

    pub(crate) fn list(&self) -> Vec<ActiveFault> {
        self.0.lock().faults.clone()
    }

    /// The first fault that `applies` to something and is not spent strikes.
    pub(crate) fn strike<T>(&self, applies: impl Fn(FaultKind) -> Option<T>) -> Option<T> {
        let mut list = self.0.lock();
        let live = list.faults.iter_mut().filter(|fault| !fault.is_spent());
        for fault in live {
            if let Some(found) = applies(fault.fault.kind) {
                fault.struck += 1;
                return Some(found);
            }
        }
        None
    }

    /// Whether a fault of this kind strikes.
    pub(crate) fn strikes(&self, kind: FaultKind) -> bool {
        self.strike(|known| (known == kind).then_some(())).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faults_text_is_read_as_it_is_written() {
        for text in [
            "refuse-result:500*3",
            "refuse-result:413,1000000",
            "lose-result*1",
            "lose-result",
            "delay-progress:2s",
            "slow-network:200ms*10",
            "deliver-twice:running*1",
            "deliver-twice:done",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_fault_is_refused_with_examples() {
        for text in [
            "",
            "refuse-result",
            "refuse-result:200",
            "refuse-result:500,many",
            "lose-result:3",
            "lose-result*0",
            "slow-network",
            "slow-network:soon",
            "deliver-twice",
            "explode",
        ] {
            let refused = text.parse::<Fault>().unwrap_err().to_string();
            assert!(refused.contains("`refuse-result:500*3`"), "{text}: {refused}");
        }
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_should_and_then_the_next_one_does() {
        let faults = Faults::default();
        let first = faults.add("lose-result*2".parse().unwrap());
        let second = faults.add("lose-result".parse().unwrap());
        (0..5).for_each(|_| assert!(faults.strikes(FaultKind::LoseResult)));
        let struck: Vec<_> = faults
            .list()
            .iter()
            .map(|fault| (fault.id, fault.struck))
            .collect();
        assert_eq!(struck, [(first, 2), (second, 3)]);
        assert!(!faults.strikes(FaultKind::DeliverDoneJobTwice));
        assert!(faults.remove(second) && !faults.remove(second));
        assert!(!faults.strikes(FaultKind::LoseResult));
    }
}
