//! Every example does its job on the local platform, by the very command that its documentation names.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::example;

/// What `url_input` fetches by its documentation; there is no internet here.
const FAR_AWAY: &str = "https://www.rust-lang.org";

/// A command of an example's documentation: what stands behind the `--`.
struct Documented {
    example: String,
    arguments: Vec<String>,
}

/// All examples, in order.
fn examples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = files
        .filter_map(|file| {
            Some(
                file.unwrap()
                    .file_name()
                    .to_str()?
                    .strip_suffix(".rs")?
                    .to_owned(),
            )
        })
        .collect();
    names.sort();
    names
}

/// The commands that an example's documentation names, lines that end in `\` joined with the next.
fn commands(name: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
    let text = std::fs::read_to_string(file).unwrap();
    let docs: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let joined = docs.join("\n").replace("\\\n", "");
    joined
        .lines()
        .filter(|line| line.contains("cargo run "))
        .map(str::to_owned)
        .collect()
}

/// The command that takes one job through the local platform.
fn documented(name: &str) -> Documented {
    let found = commands(name)
        .into_iter()
        .find(|line| line.contains("--rp_serve_api --test_input"));
    let line = found.unwrap_or_else(|| panic!("{name} names no command for the local platform"));
    let (cargo, arguments) = line.split_once(" -- ").unwrap();
    assert!(cargo.contains(&format!("--example {name} ")), "{line}");
    assert!(cargo.contains("local-server"), "{line}");
    Documented {
        example: name.to_owned(),
        arguments: words(arguments),
    }
}

/// A line as a shell splits it: at blanks, except between single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// What a client sees of the job, and how the process ended.
fn run(command: &Documented, uploads: &Path, server: &str) -> String {
    let arguments = command
        .arguments
        .iter()
        .map(|word| word.replace(FAR_AWAY, server));
    let output = Command::new(example(&command.example))
        .args(arguments)
        .env_clear()
        .env("RUNPOD_WORKER_SCRATCH", uploads.join("scratch"))
        .env("RUNPOD_WORKER_LOCAL_UPLOADS", uploads)
        .env("RUNPOD_WORKER_JOURNAL", uploads.join("journal"))
        .env("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS", "1")
        .output()
        .unwrap();
    let log = String::from_utf8(output.stdout).unwrap();
    let mut seen = format!("{}:\n", command.example);
    for line in log.lines() {
        let known = ["Job chunk: ", "Job result: ", "ERROR  | Fitness check failed: "];
        if known.iter().any(|start| line.starts_with(start)) {
            writeln!(seen, "  {line}").unwrap();
        }
    }
    writeln!(seen, "  exit {}\n", output.status.code().unwrap()).unwrap();
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_does_its_job_on_the_local_platform_by_the_command_that_it_names() {
    let server = MockServer::start().await;
    Mock::given(path("/static/images/rust-logo-blk.svg"))
        .respond_with(ResponseTemplate::new(200).set_body_string("<svg>\n</svg>\n"))
        .mount(&server)
        .await;
    let uploads = tempfile::tempdir().unwrap();
    let mut seen = String::new();
    for name in examples() {
        let command = documented(&name);
        // It takes a minute on purpose; the tests in it are what it shows.
        if name != "testing" {
            seen += &run(&command, uploads.path(), &server.uri());
        }
    }
    insta::with_settings!({ filters => vec![
        (r"/[^ ]*/picture.pgm", "[UPLOADS]/picture.pgm"),
    ] }, {
        insta::assert_snapshot!(seen);
    });
}

#[test]
fn every_example_names_a_command_for_one_job_without_a_platform() {
    for name in examples() {
        // The one answers requests, and has no queue to leave out; the other is run by `cargo test`.
        if ["load_balancing", "testing"].contains(&name.as_str()) {
            continue;
        }
        let alone = |line: &String| line.contains("--test_input") && !line.contains("--rp_serve_api");
        assert!(commands(&name).iter().any(alone), "{name}");
    }
}
