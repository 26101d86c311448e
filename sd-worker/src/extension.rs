//! The extension of the WebUI that renders pictures of different jobs in one batch (`webui-extension/`).
//!
//! It is a script that always runs. The program carries its file and installs it by `sd-worker install-extension`.

use std::io;
use std::path::{Path, PathBuf};

/// The version that the worker speaks. The label of the script's control has it.
pub(crate) const VERSION: u32 = 1;
/// The script's title, in lower case: its key in `alwayson_scripts`.
pub(crate) const TITLE: &str = "batch jobs";
/// The name of the extension's folder, and so its name in the WebUI's list.
pub(crate) const NAME: &str = "sd-worker-batch-jobs";
/// The command that mends a missing or old extension.
pub(crate) const INSTALL: &str = "run `sd-worker install-extension DIRECTORY` and start the WebUI again";

const SCRIPT: &str = include_str!("../webui-extension/scripts/batch_jobs.py");

/// Why the extension was not installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error("{0} is not the directory of a WebUI: it has no folder `extensions`")]
    NotAWebUi(PathBuf),
    #[error("{path} can't be written: {source}")]
    NotWritten { path: PathBuf, source: io::Error },
}

/// What an installation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    /// The file was there as it should be.
    Before,
    /// It was written: it was missing, or of another version.
    Now,
}

/// Installs the extension into the WebUI in `directory`. Nothing is written if it is there already.
pub(crate) fn install(directory: &Path) -> Result<(PathBuf, Installed), InstallError> {
    let extensions = directory.join("extensions");
    if !extensions.is_dir() {
        return Err(InstallError::NotAWebUi(directory.to_owned()));
    }
    let folder = extensions.join(NAME).join("scripts");
    let file = folder.join("batch_jobs.py");
    if std::fs::read(&file).is_ok_and(|text| text == SCRIPT.as_bytes()) {
        return Ok((file, Installed::Before));
    }
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, SCRIPT));
    match written {
        Ok(()) => Ok((file, Installed::Now)),
        Err(source) => Err(InstallError::NotWritten { path: file, source }),
    }
}

/// The label of the script's control in this version.
pub(crate) fn label() -> String {
    format!("jobs of sd-worker, version {VERSION}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_installed_once_and_renewed_where_it_differs() {
        let webui = tempfile::tempdir().unwrap();
        assert!(matches!(install(webui.path()), Err(InstallError::NotAWebUi(_))));
        std::fs::create_dir(webui.path().join("extensions")).unwrap();
        let (file, first) = install(webui.path()).unwrap();
        assert_eq!(first, Installed::Now);
        assert_eq!(install(webui.path()).unwrap().1, Installed::Before);
        std::fs::write(&file, "VERSION = 0").unwrap();
        assert_eq!(install(webui.path()).unwrap().1, Installed::Now);
        assert_eq!(std::fs::read_to_string(file).unwrap(), SCRIPT);
    }

    #[test]
    fn a_folder_that_can_not_be_written_is_an_error_that_names_the_file() {
        let webui = tempfile::tempdir().unwrap();
        std::fs::create_dir(webui.path().join("extensions")).unwrap();
        // A file in the place of the folder: root may write everywhere else.
        std::fs::write(webui.path().join("extensions").join(NAME), "").unwrap();
        let error = install(webui.path()).unwrap_err().to_string();
        assert!(error.contains("batch_jobs.py can't be written"), "{error}");
    }

    #[test]
    fn the_script_is_of_this_version_and_has_this_title() {
        assert!(SCRIPT.contains(&format!("VERSION = {VERSION}\n")));
        assert!(SCRIPT.contains(&label().replace(&VERSION.to_string(), "{VERSION}")));
        assert!(SCRIPT.to_lowercase().contains(&format!("return \"{TITLE}\"")));
    }
}
