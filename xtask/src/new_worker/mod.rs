//! `cargo xtask new-worker`: a folder with a worker that builds, passes its tests and can be deployed.

mod files;
mod name;

use std::io::{BufRead, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use support::cargo::{cargo, root};
use support::screen::Screen;

use self::files::{FILES, fill};
use self::name::Name;

/// Make a new worker: a folder with a handler, its test, a Dockerfile, CI and what the RunPod Hub reads.
///
/// It builds and passes its tests as it is. Without --git it depends on this checkout by its path, which is the
/// quickest way to begin; an image or a CI run elsewhere needs the repository's address.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Name of the package, the program and the folder
    name: Name,

    /// Where to make the folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,

    /// Depend on the SDK by this repository's address
    #[arg(long, value_name = "URL")]
    git: Option<String>,

    /// With --git: the tag to depend on
    #[arg(long, value_name = "TAG", requires = "git", conflicts_with = "rev")]
    tag: Option<String>,

    /// With --git: the commit to depend on; without a tag, the one that is checked out here
    #[arg(long, value_name = "COMMIT", requires = "git")]
    rev: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask new-worker my-worker --path ..
  cargo xtask new-worker my-worker --path .. --git https://example.com/you/this-repository --tag v0.1.0";

pub(crate) fn run(options: &Options, screen: Screen) -> anyhow::Result<()> {
    if !options.path.is_dir() {
        let asked = std::io::stdin().is_terminal().then(|| std::io::stdin().lock());
        make_if_wanted(&options.path, asked, &mut std::io::stderr())?;
    }
    let folder = options.path.join(options.name.as_str());
    let sdk = Sdk::of(options)?;
    write(&folder, &options.name, &sdk)?;
    screen.stage("written", folder.display());
    // The versions that this workspace is tested with.
    lock(&folder)?;
    screen.line(format_args!(
        "\nNext:\n\n  cd {}\n  cargo run        # one job: the one in test_input.json\n  cargo test\n\n\
         README.md says more.",
        folder.display()
    ));
    if options.git.is_none() {
        screen.line(screen.odd(
            "It depends on this checkout by its path. Before an image is built, let Cargo.toml name the repository.",
        ));
    }
    Ok(())
}

/// Makes the folder of `--path` if the answer says so. Without anybody to ask it is an error: it may be a slip.
fn make_if_wanted(
    path: &Path,
    answers: Option<impl BufRead>,
    questions: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(mut answers) = answers else {
        bail!(
            "--path {}: there is no such folder; make it, or name another",
            path.display()
        );
    };
    write!(
        questions,
        "There is no folder {}. Make it? [y/N] ",
        path.display()
    )?;
    questions.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was made; name another folder with --path");
    }
    std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// The toolchain of this workspace: a worker that starts with the same needs no other.
fn toolchain() -> anyhow::Result<&'static str> {
    include_str!("../../../rust-toolchain.toml")
        .lines()
        .find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'))
        .context("rust-toolchain.toml names no channel")
}

/// How the new worker depends on the SDK.
struct Sdk {
    /// Keys of the dependency in Cargo.toml.
    dependency: String,
    /// Whether another machine can build it.
    travels: bool,
}

impl Sdk {
    fn of(options: &Options) -> anyhow::Result<Self> {
        let Some(url) = &options.git else {
            let path = root().join("runpod-sdk");
            return Ok(Self {
                dependency: format!("path = {}", quoted(&path.to_string_lossy())),
                travels: false,
            });
        };
        let version = match (&options.tag, &options.rev) {
            (Some(tag), _) => format!("tag = {}", quoted(tag)),
            (None, Some(rev)) => format!("rev = {}", quoted(rev)),
            (None, None) => format!("rev = {}", quoted(&checked_out()?)),
        };
        Ok(Self {
            dependency: format!("git = {}, {version}", quoted(url)),
            travels: true,
        })
    }
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The commit that is checked out here.
fn checked_out() -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .context("git cannot be run to learn the commit; say it with --rev or --tag")?;
    if !output.status.success() {
        bail!("this is no git checkout; say the commit with --rev, or a tag with --tag");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn write(folder: &Path, name: &Name, sdk: &Sdk) -> anyhow::Result<()> {
    if folder.exists() {
        bail!(
            "{} is there already; choose another name or --path",
            folder.display()
        );
    }
    let crate_name = name.crate_name();
    let (comment, deploy, docker_note) = if sdk.travels {
        ("", "", "")
    } else {
        (
            "# By path for a start. An image or a CI run needs the repository: git = \"https://…\", tag = \"v…\"\n",
            "\nFirst let `Cargo.toml` name the SDK's repository (`git = …, tag = …`) in place of a path, in both places, and run\n\
             `cargo update --workspace`: neither an image nor a CI run can see that path.\n",
            " The SDK's path on your machine is not part of the build: let Cargo.toml name its repository first.\n#",
        )
    };
    let values = [
        ("name", name.as_str()),
        ("crate", &crate_name),
        ("rust", env!("CARGO_PKG_RUST_VERSION")),
        ("toolchain", toolchain()?),
        ("sdk", &sdk.dependency),
        ("sdk_comment", comment),
        ("deploy", deploy),
        ("docker_note", docker_note),
    ];
    for (path, text) in FILES {
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        std::fs::write(&file, fill(text, &values))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Gives the new worker the locked versions of this workspace, as far as it needs them.
fn lock(folder: &Path) -> anyhow::Result<()> {
    let lock = folder.join("Cargo.lock");
    std::fs::copy(root().join("Cargo.lock"), &lock)
        .with_context(|| format!("cannot write {}", lock.display()))?;
    // Reading the dependencies takes out of the file what is not needed.
    let read = cargo(["metadata", "--format-version=1"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()
        .context("cannot run `cargo metadata`")?;
    if !read.success() {
        bail!(
            "the files are in {}, but cargo cannot read its dependencies; its message is above",
            folder.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Options {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        let words = std::iter::once("new-worker").chain(arguments.iter().copied());
        <Line as clap::Parser>::try_parse_from(words).unwrap().options
    }

    #[test]
    fn a_repository_is_named_with_its_tag_or_commit() {
        let sdk = |arguments: &[&str]| Sdk::of(&options(arguments)).unwrap().dependency;
        assert_eq!(
            sdk(&["w", "--git", "https://h/r", "--tag", "v1"]),
            r#"git = "https://h/r", tag = "v1""#
        );
        assert_eq!(
            sdk(&["w", "--git", "https://h/r", "--rev", "abc"]),
            r#"git = "https://h/r", rev = "abc""#
        );
        assert!(sdk(&["w"]).starts_with("path = "));
    }

    #[test]
    fn the_toolchain_is_that_of_this_workspace_to_the_last_number() {
        assert_eq!(toolchain().unwrap().split('.').count(), 3);
        assert!(toolchain().unwrap().starts_with(env!("CARGO_PKG_RUST_VERSION")));
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let sdk = Sdk::of(&options(&["w"])).unwrap();
        let error = write(folder.path(), &"w".parse().unwrap(), &sdk).unwrap_err();
        assert!(error.to_string().contains("is there already"), "{error}");
    }

    #[test]
    fn a_folder_that_does_not_exist_is_asked_about() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b");
        let ask = |answer: Option<&str>| {
            let mut asked = Vec::new();
            let made = make_if_wanted(&missing, answer.map(str::as_bytes), &mut asked);
            (
                made.map_err(|error| error.to_string()),
                String::from_utf8(asked).unwrap(),
            )
        };
        let (made, asked) = ask(None);
        assert!(made.unwrap_err().contains("there is no such folder"));
        assert_eq!(asked, "", "the question has no terminal");
        for no in ["", "\n", "n\n", "what?\n"] {
            assert!(ask(Some(no)).0.is_err() && !missing.exists(), "{no:?}");
        }
        let (made, asked) = ask(Some("Yes\n"));
        assert_eq!((made, missing.is_dir()), (Ok(()), true));
        assert!(asked.ends_with("Make it? [y/N] "), "{asked}");
    }

    #[test]
    fn every_json_file_of_the_template_is_json() {
        for (path, text) in FILES
            .iter()
            .filter(|(path, _)| Path::new(path).extension().is_some_and(|ending| ending == "json"))
        {
            let filled = fill(text, &[("name", "w")]);
            assert!(
                serde_json::from_str::<serde_json::Value>(&filled).is_ok(),
                "{path}"
            );
        }
    }
}
