//! Options of `sd-worker init`.

use std::path::PathBuf;

/// Write into an empty folder what an endpoint needs: Dockerfile, the WebUI's settings, the files of the RunPod Hub, a
/// compose file for a GPU at home, and a CI workflow that pushes the image.
///
/// docs/road.md goes from there to the first picture.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
pub struct InitOptions {
    /// The folder, which is made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,

    /// Address of the repository of sd-worker: the image builds this version of the program from it
    #[arg(long, value_name = "URL")]
    pub(crate) git: String,

    /// The WebUI that the image has
    #[arg(long, value_enum, value_name = "WEBUI", default_value = "a1111")]
    pub(crate) webui: ImageWebUi,
}

/// A WebUI for which there is a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum ImageWebUi {
    /// AUTOMATIC1111 1.10.1
    A1111,
    /// Forge, its last commit of June 2025
    Forge,
}
