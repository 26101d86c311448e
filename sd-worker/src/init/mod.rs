//! `sd-worker init`: the files of a repository whose image is an endpoint's.

mod hub;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::settings::{ImageWebUi, InitOptions};

/// The Dockerfiles of this repository. Their worker is built from the sources beside them.
const A1111: &str = include_str!("../../../Dockerfile.webui");
const FORGE: &str = include_str!("../../../Dockerfile.forge");
/// The lines between which a Dockerfile builds the worker.
const WORKER: [&str; 2] = ["# -- the worker\n", "# -- end of the worker\n"];
/// The place of the WebUI's settings in this repository.
const CONFIG_HERE: &str = "COPY sd-worker/init/config.json config.json";

/// A file, and its text.
type NewFile = (&'static str, String);

/// Why the files could not be written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{0} is not empty; name an empty folder, or one that is not there")]
    NotEmpty(String),
    #[error("--git {0}: write the address of the repository, such as https://example.com/you/sd-worker")]
    NoAddress(String),
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

/// Writes the files and says what comes next.
pub(crate) fn write(options: &InitOptions) -> ExitCode {
    match write_all(options) {
        Ok(files) => {
            let folder = options.folder.display();
            let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
            let names = names.join("\n  ");
            // A closed pipe is the reader's choice.
            let _ = write!(io::stdout(), "written into {folder}:\n  {names}\n{NEXT}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

const NEXT: &str = "
Next:
  docker build --tag sd-webui .
  docker compose run --rm worker     # one job on this machine's GPU, with a checkpoint in models/Stable-diffusion
";

fn write_all(options: &InitOptions) -> Result<Vec<NewFile>, InitError> {
    let folder = &options.folder;
    if !is_plain(&options.git) {
        return Err(InitError::NoAddress(options.git.clone()));
    }
    if !is_empty(folder).map_err(|error| io_error(folder, error))? {
        return Err(InitError::NotEmpty(folder.display().to_string()));
    }
    let files = files(options);
    for (name, text) in &files {
        let file = folder.join(name);
        let parent = file.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| io_error(parent, error))?;
        fs::write(&file, text).map_err(|error| io_error(&file, error))?;
    }
    Ok(files)
}

fn io_error(path: &Path, error: io::Error) -> InitError {
    InitError::Io(path.display().to_string(), error)
}

/// Whether the address can stand in a Dockerfile as it is.
fn is_plain(address: &str) -> bool {
    address.contains("://") && !address.contains(|c: char| c.is_whitespace() || "\"'$\\`".contains(c))
}

/// Whether the folder is not there or holds nothing. A new repository's `.git` does not count.
fn is_empty(folder: &Path) -> io::Result<bool> {
    if !folder.exists() {
        return Ok(true);
    }
    for entry in fs::read_dir(folder)? {
        if entry?.file_name() != ".git" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn files(options: &InitOptions) -> Vec<NewFile> {
    let is_a1111 = options.webui == ImageWebUi::A1111;
    let template = if is_a1111 { A1111 } else { FORGE };
    let mut files = vec![
        ("Dockerfile", dockerfile(template, &options.git)),
        (".dockerignore", "*\n!config.json\n".to_owned()),
        (".runpod/hub.json", hub::hub("sd-webui")),
        (".runpod/tests.json", hub::tests()),
        ("compose.yaml", include_str!("../../init/compose.yaml").to_owned()),
        (
            ".github/workflows/image.yml",
            include_str!("../../init/image.yml").to_owned(),
        ),
    ];
    if is_a1111 {
        files.push(("config.json", include_str!("../../init/config.json").to_owned()));
    }
    files
}

/// The template with a worker that is built from its repository.
fn dockerfile(template: &str, git: &str) -> String {
    let worker = include_str!("../../init/worker.Dockerfile")
        .replace("{{git}}", git)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"));
    let (before, rest) = template.split_once(WORKER[0]).unwrap_or((template, ""));
    let (_, after) = rest.split_once(WORKER[1]).unwrap_or(("", rest));
    let own = [before, &worker, after].concat();
    own.replace(CONFIG_HERE, "COPY config.json config.json")
        .replace(" --file Dockerfile.webui", "")
        .replace(" --file Dockerfile.forge", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &Path, webui: ImageWebUi) -> InitOptions {
        InitOptions {
            folder: folder.to_owned(),
            git: "https://example.com/you/sd-worker".to_owned(),
            webui,
        }
    }

    #[test]
    fn each_webui_has_a_dockerfile_that_reads_nothing_of_this_repository() {
        let folder = tempfile::tempdir().unwrap();
        for (webui, command) in [
            (ImageWebUi::A1111, "python webui.py --api --nowebui"),
            (ImageWebUi::Forge, "python launch.py"),
        ] {
            let files = files(&options(folder.path(), webui));
            let (name, text) = &files[0];
            assert_eq!(*name, "Dockerfile");
            for expected in [
                "https://example.com/you/sd-worker",
                concat!("=v", env!("CARGO_PKG_VERSION")),
                "COPY --from=worker /usr/local/bin/sd-worker",
                command,
            ] {
                assert!(text.contains(expected), "{expected}: {text}");
            }
            for foreign in ["Dockerfile.", "sd-worker/init", "COPY . .", "{{", "# -- "] {
                assert!(!text.contains(foreign), "{foreign}: {text}");
            }
        }
    }

    #[test]
    fn only_an_empty_folder_is_written_into() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        let options = options(folder.path(), ImageWebUi::A1111);
        let written = write_all(&options).unwrap();
        for (name, text) in &written {
            assert_eq!(&fs::read_to_string(folder.path().join(name)).unwrap(), text);
        }
        let names: Vec<_> = written.iter().map(|(name, _)| *name).collect();
        insta::assert_snapshot!(names.join("\n"));
        let error = write_all(&options).unwrap_err();
        assert!(error.to_string().contains("is not empty"), "{error}");
    }

    #[test]
    fn an_address_that_would_break_out_of_the_dockerfile_is_refused() {
        for bad in ["sd-worker", "https://h/r\" && x", "https://h/$(x)", ""] {
            assert!(!is_plain(bad), "{bad}");
        }
        for good in ["https://example.com/a/b", "ssh://git@example.com/a/b.git"] {
            assert!(is_plain(good), "{good}");
        }
    }

    #[test]
    fn the_settings_file_has_every_setting_and_names_no_checkpoint() {
        let settings: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(include_str!("../../init/config.json")).unwrap();
        let recorded: serde_json::Value = serde_json::from_str(include_str!(
            "../../../tests/fixtures/webui/v1.10.1/get-options.json"
        ))
        .unwrap();
        let recorded = recorded["response"]["json"].as_object().unwrap();
        for (name, value) in recorded {
            let is_of_a_checkpoint = ["sd_model_checkpoint", "sd_checkpoint_hash"].contains(&name.as_str());
            assert!(settings.contains_key(name), "{name}");
            assert_eq!(&settings[name] == value, !is_of_a_checkpoint, "{name}");
        }
        assert_eq!(settings.len(), recorded.len());
        assert!(settings["sd_model_checkpoint"].is_null());
    }
}
