//! Which endpoint and operation a path means.

use http::Method;
use runpod_protocol::route;

use crate::rate_limits::OperationClass;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'p> {
    Run,
    RunSync,
    Status(&'p str),
    StatusSync(&'p str),
    Stream(&'p str),
    Cancel(&'p str),
    Retry(&'p str),
    PurgeQueue,
    Health,
    Requests,
    /// OpenAI's API, at a path of its own.
    OpenAi(&'p str),
    /// A job that is answered with its worker's bare result (`docs/protocol/worker-protocol.md` §13).
    Realtime,
    Take(&'p str),
    TakeBatch(&'p str),
    Stop(&'p str),
    Ping(&'p str),
    Done {
        worker: &'p str,
        job: &'p str,
    },
    Chunk {
        worker: &'p str,
        job: &'p str,
    },
}

/// An operation on an endpoint. Without a name, the platform's only endpoint is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'p> {
    pub(crate) endpoint: Option<&'p str>,
    pub(crate) operation: Operation<'p>,
}

impl<'p> Target<'p> {
    /// Reads `[…/]v2/{endpoint}/{operation}`, `/{operation}` or `/{endpoint}/{operation}`.
    pub(crate) fn parse(path: &'p str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            return None;
        }
        if let Some(v2) = segments.iter().position(|segment| *segment == route::VERSION) {
            return Self::named(segments.get(v2 + 1..)?, path);
        }
        match Operation::parse(&segments, path) {
            Some(operation) => Some(Self {
                endpoint: None,
                operation,
            }),
            None => Self::named(&segments, path),
        }
    }

    fn named(segments: &[&'p str], path: &'p str) -> Option<Self> {
        let (endpoint, rest) = segments.split_first()?;
        Some(Self {
            endpoint: Some(endpoint),
            operation: Operation::parse(rest, path)?,
        })
    }
}

impl<'p> Operation<'p> {
    /// Reads the segments after the endpoint, which end `path`.
    fn parse(segments: &[&'p str], path: &'p str) -> Option<Self> {
        Some(match *segments {
            [route::RUN] => Self::Run,
            [route::RUN_SYNC] => Self::RunSync,
            [route::STATUS, job] => Self::Status(job),
            [route::STATUS_SYNC, job] => Self::StatusSync(job),
            [route::STREAM, job] => Self::Stream(job),
            [route::CANCEL, job] => Self::Cancel(job),
            [route::RETRY, job] => Self::Retry(job),
            [route::PURGE_QUEUE] => Self::PurgeQueue,
            [route::HEALTH] => Self::Health,
            [route::REQUESTS] => Self::Requests,
            [route::OPENAI, _, ..] => Self::OpenAi(&path[path.len() - length(&segments[1..])..]),
            [route::REALTIME] => Self::Realtime,
            [route::JOB_TAKE, worker] => Self::Take(worker),
            [route::JOB_TAKE_BATCH, worker] => Self::TakeBatch(worker),
            [route::JOB_STOP, worker] => Self::Stop(worker),
            [route::PING, worker] => Self::Ping(worker),
            [route::JOB_DONE, worker, job] => Self::Done { worker, job },
            [route::JOB_STREAM, worker, job] => Self::Chunk { worker, job },
            _ => return None,
        })
    }

    /// Whether workers call it.
    pub(crate) fn is_workers(self) -> bool {
        matches!(
            self,
            Self::Take(_)
                | Self::TakeBatch(_)
                | Self::Stop(_)
                | Self::Ping(_)
                | Self::Done { .. }
                | Self::Chunk { .. }
        )
    }

    /// The methods it takes, as in an `Allow` header. Clients differ: some poll by POST.
    pub(crate) fn methods(self) -> &'static str {
        match self {
            Self::Run
            | Self::RunSync
            | Self::Cancel(_)
            | Self::Retry(_)
            | Self::PurgeQueue
            | Self::Realtime
            | Self::Done { .. }
            | Self::Chunk { .. } => "POST",
            Self::Status(_) | Self::StatusSync(_) | Self::Stream(_) | Self::OpenAi(_) => "GET, POST",
            Self::Health
            | Self::Requests
            | Self::Take(_)
            | Self::TakeBatch(_)
            | Self::Stop(_)
            | Self::Ping(_) => "GET",
        }
    }

    /// What rate limit it counts towards; workers' calls and `/health` have none.
    pub(crate) fn class(self) -> Option<OperationClass> {
        Some(match self {
            Self::Run => OperationClass::Run,
            Self::RunSync => OperationClass::RunSync,
            Self::Status(_) => OperationClass::Status,
            Self::StatusSync(_) => OperationClass::StatusSync,
            Self::Stream(_) => OperationClass::Stream,
            Self::OpenAi(_) => OperationClass::OpenAi,
            Self::Cancel(_) => OperationClass::Cancel,
            Self::PurgeQueue => OperationClass::PurgeQueue,
            Self::Requests => OperationClass::Requests,
            _ => return None,
        })
    }

    pub(crate) fn takes(self, method: &Method) -> bool {
        self.methods()
            .split(", ")
            .any(|allowed| allowed == method.as_str())
    }
}

/// Bytes of the path that these segments make.
fn length(segments: &[&str]) -> usize {
    segments.iter().map(|segment| 1 + segment.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_may_be_named_with_or_without_a_prefix_or_not_at_all() {
        let run = |endpoint| {
            Some(Target {
                endpoint,
                operation: Operation::Run,
            })
        };
        assert_eq!(Target::parse("/v2/ep/run"), run(Some("ep")));
        assert_eq!(Target::parse("/some/proxy/v2/ep/run"), run(Some("ep")));
        assert_eq!(Target::parse("/ep/run"), run(Some("ep")));
        assert_eq!(Target::parse("/run"), run(None));
    }

    #[test]
    fn ids_are_where_the_protocol_puts_them() {
        let done = Target::parse("/v2/ep/job-done/w1/j1").unwrap();
        assert_eq!(
            done.operation,
            Operation::Done {
                worker: "w1",
                job: "j1"
            }
        );
        assert_eq!(
            Target::parse("/status/j1").unwrap().operation,
            Operation::Status("j1")
        );
    }

    #[test]
    fn a_path_of_openais_api_stays_whole() {
        let route = "/v1/chat/completions";
        for path in ["/v2/ep/openai", "/proxy/v2/ep/openai", "/ep/openai", "/openai"] {
            let path = format!("{path}{route}");
            assert_eq!(
                Target::parse(&path).unwrap().operation,
                Operation::OpenAi(route),
                "{path}"
            );
        }
        assert_eq!(Target::parse("/v2/ep/openai"), None);
    }

    #[test]
    fn other_paths_mean_nothing() {
        for path in [
            "",
            "/",
            "/v2",
            "/v2/ep",
            "/v2/ep/",
            "/v2/ep/status",
            "/v2//run",
            "/v2/ep/run/x",
            "/a/b/c/d",
        ] {
            assert_eq!(Target::parse(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_status_can_be_asked_for_by_post() {
        assert!(Operation::Status("j").takes(&Method::POST));
        assert!(!Operation::Run.takes(&Method::GET));
    }
}
