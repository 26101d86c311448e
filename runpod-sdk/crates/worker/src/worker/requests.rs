//! How patient a worker is with single requests to the platform, and how large they may be.

use std::time::Duration;

use super::Worker;

impl<S> Worker<S> {
    /// How long one poll for jobs or stop signals may stay open before it is sent anew. Default 90 s, as
    /// in `docs/protocol/worker-protocol.md` §5. Overridden by `RUNPOD_WORKER_POLL_LIMIT`.
    pub fn poll_limit(mut self, limit: Duration) -> Self {
        self.options.limits.poll = limit;
        self
    }

    /// How long one post of a result or chunk may take, its body included; a post that took longer is
    /// tried again. Default 600 s (`docs/protocol/worker-protocol.md` §4). Overridden by
    /// `RUNPOD_WORKER_REQUEST_LIMIT`.
    pub fn request_limit(mut self, limit: Duration) -> Self {
        self.options.limits.request = limit;
        self
    }

    /// How long a connection to the platform may take to be made. Default 30 s. Overridden by
    /// `RUNPOD_WORKER_CONNECT_LIMIT`.
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.options.limits.connect = limit;
        self
    }

    /// How long one progress update may be on its way before it is given up; a finished result waits for
    /// it that long, so that it cannot arrive later. Default 10 s. Overridden by
    /// `RUNPOD_WORKER_PROGRESS_LIMIT`.
    pub fn progress_limit(mut self, limit: Duration) -> Self {
        self.options.limits.progress = limit;
        self
    }

    /// Does not even send a result whose body is larger: its job fails with the code `RESULT_TOO_LARGE`.
    /// Default: every result is sent, and the platform decides. Overridden by
    /// `RUNPOD_WORKER_LARGEST_RESULT`.
    ///
    /// The platform documents limits of 10 MB for `/run` and 20 MB for `/runsync`. A worker cannot know for
    /// certain which of them a job came by, and warns of larger results in any case.
    pub fn largest_result(mut self, bytes: usize) -> Self {
        self.options.largest_result = Some(bytes);
        self
    }
}
