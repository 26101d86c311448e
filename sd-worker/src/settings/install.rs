//! Options of `sd-worker install-extension`.

use std::path::PathBuf;

/// Install the extension that renders different jobs in one batch into a WebUI.
///
/// It writes one file below the WebUI's `extensions` folder, unless that is there as it should be. A WebUI that runs has
/// to be started again. Exit code 1: nothing was installed.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
pub struct InstallOptions {
    /// The WebUI's directory, which has the folder `extensions`
    #[arg(value_name = "DIRECTORY")]
    pub(crate) directory: PathBuf,
}
