//! The two kinds of generation.

/// The route that a generation comes in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Txt2Img,
    Img2Img,
}

impl Mode {
    /// The last part of the route's path.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Txt2Img => "txt2img",
            Self::Img2Img => "img2img",
        }
    }

    /// The job's name on SD.Next.
    pub(crate) fn job_of_sd_next(self) -> &'static str {
        match self {
            Self::Txt2Img => "API-TXT",
            Self::Img2Img => "API-IMG",
        }
    }

    /// The job's name while it runs (§7).
    pub(crate) fn job(self) -> &'static str {
        match self {
            Self::Txt2Img => "scripts_txt2img",
            Self::Img2Img => "scripts_img2img",
        }
    }
}
