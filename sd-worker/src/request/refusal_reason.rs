//! Why a route is refused.

/// Why a route is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// It would end the WebUI, or change it for all jobs.
    Dangerous,
    /// It would stop the current render, also that of another job.
    OtherJobs,
    /// Its answer holds secrets: the WebUI's credentials, its log, its environment.
    Secret,
    /// It is a route of other workers, which fetch models.
    Download,
    /// The worker does not know the route.
    Unknown,
    /// The route takes this method.
    WrongMethod(&'static str),
}

impl RefusalReason {
    /// The end of the sentence that the route is refused.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Dangerous => ": it would stop the WebUI or change it for all jobs",
            Self::OtherJobs => ": it would stop whatever renders, also another job's picture",
            Self::Secret => ": its answer holds secrets of the WebUI",
            Self::Download => ": this worker does not download models",
            Self::Unknown => ": the worker does not know this route",
            Self::WrongMethod("GET") => ": this route takes GET",
            Self::WrongMethod(_) => ": this route takes POST",
        }
    }
}
