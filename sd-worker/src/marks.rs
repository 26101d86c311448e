//! Names of the points on a job's timeline that the worker marks and [`crate::monitor`] reads.

/// The GPU is leased to the job, or its answer is in the cache.
pub(crate) const READINESS_CHECKED: &str = "readiness_checked";

/// The job's first request to render is sent next.
pub(crate) const INFERENCE_STARTED: &str = "inference_started";

/// The job's last render is answered.
pub(crate) const INFERENCE_FINISHED: &str = "inference_finished";

/// One render of a streamed job begins. Pictures are uploaded and re-encoded between its renders.
pub(crate) const PART_STARTED: &str = "part_started";

/// One render of a streamed job is answered.
pub(crate) const PART_FINISHED: &str = "part_finished";

/// An upload begins: of all pictures of a job, or of one picture where they are streamed.
pub(crate) const UPLOAD_STARTED: &str = "upload_started";

/// An upload is done.
pub(crate) const UPLOAD_FINISHED: &str = "upload_finished";
