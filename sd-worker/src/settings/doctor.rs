//! Options of `sd-worker doctor`.

use std::path::PathBuf;

/// Look whether everything is there that this worker needs, and say what mends what is not.
///
/// Exit code 0: jobs can be done. 1: something has to be mended first.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
pub struct DoctorOptions {
    /// Where the WebUI keeps its checkpoints. Without it the WebUI is asked
    #[arg(long, value_name = "DIR")]
    pub(crate) models_dir: Option<PathBuf>,

    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
