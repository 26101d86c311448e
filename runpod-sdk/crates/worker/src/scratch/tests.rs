use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::testing::Harness;
use crate::{Context, JobError, JobResult, Worker};

fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn job(scratch: &Arc<Scratch>) -> JobScratch {
    JobScratch::new(scratch.clone())
}

#[test]
fn a_job_that_does_not_ask_costs_nothing() {
    let base = tempfile::tempdir().unwrap();
    let scratch = Arc::new(Scratch::new(Some(base.path().join("not yet"))));
    drop(job(&scratch));
    drop(scratch);
    assert!(entries(base.path()).is_empty());
}

#[test]
fn each_job_has_a_directory_that_is_its_own_and_goes_with_it() {
    let base = tempfile::tempdir().unwrap();
    let scratch = Arc::new(Scratch::new(Some(base.path().join("made/when/needed"))));
    let (first, second) = (job(&scratch), job(&scratch));
    let path = first.directory().unwrap();
    assert_eq!(path, first.directory().unwrap());
    assert_ne!(path, second.directory().unwrap());
    for private in [path.as_path(), path.parent().unwrap()] {
        assert_eq!(fs::metadata(private).unwrap().permissions().mode() & 0o777, 0o700);
    }
    fs::create_dir_all(path.join("deep/down")).unwrap();
    fs::write(path.join("deep/down/file"), "x").unwrap();
    drop(first);
    assert!(!path.exists());
    assert!(second.directory().unwrap().exists());
    drop((second, scratch));
    assert!(entries(&base.path().join("made/when/needed")).is_empty());
}

#[test]
fn a_link_in_a_scratch_directory_is_removed_and_not_followed() {
    let base = tempfile::tempdir().unwrap();
    let kept = tempfile::tempdir().unwrap();
    fs::write(kept.path().join("weights"), "x").unwrap();
    let scratch = Arc::new(Scratch::new(Some(base.path().to_owned())));
    let one = job(&scratch);
    symlink(kept.path(), one.directory().unwrap().join("link")).unwrap();
    drop((one, scratch));
    assert_eq!(entries(kept.path()), ["weights"]);
    assert!(entries(base.path()).is_empty());
}

#[test]
fn a_base_that_may_not_be_written_is_named() {
    let scratch = Arc::new(Scratch::new(Some("/proc/scratch".into())));
    let error = job(&scratch).directory().unwrap_err().to_string();
    assert!(error.contains("/proc/scratch"), "{error}");
}

/// Not a test of its own: the next test starts and kills it.
#[test]
#[ignore = "runs for ever, until the test that started it kills it"]
fn a_worker_that_will_be_killed() {
    let base = std::env::var("SCRATCH_BASE").unwrap();
    let scratch = Arc::new(Scratch::new(Some(base.into())));
    let job = job(&scratch);
    println!("made {}", job.directory().unwrap().display());
    loop {
        std::thread::park();
    }
}

#[test]
fn leftovers_of_a_killed_process_go_and_those_of_a_living_one_stay() {
    let base = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "scratch::tests::a_worker_that_will_be_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("SCRATCH_BASE", base.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let made = lines.map_while(Result::ok).find_map(|line| {
        let (_, path) = line.split_once("made ")?;
        Some(PathBuf::from(path))
    });
    let made = made.expect("the child says where its directory is");
    fs::write(made.join("half a video"), "x").unwrap();

    let next = Scratch::new(Some(base.path().to_owned()));
    next.remove_leftovers();
    assert!(made.join("half a video").exists(), "its process lives");

    child.kill().unwrap();
    child.wait().unwrap();
    assert!(made.exists(), "the directory is still there");
    next.remove_leftovers();
    assert!(entries(base.path()).is_empty());
}

#[test]
fn what_others_have_put_there_is_left_alone() {
    let base = tempfile::tempdir().unwrap();
    let kept = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    // A directory without a lock, other names, a link as the lock, a lock whose directory is a link.
    fs::create_dir(at("runpod-scratch-nolock")).unwrap();
    fs::write(at("runpod-scratch-.lock"), "").unwrap();
    fs::write(at("runpod-scratch-a.b.lock"), "").unwrap();
    fs::write(at("other-scratch-a.lock"), "").unwrap();
    fs::write(kept.path().join("file"), "").unwrap();
    symlink(kept.path().join("file"), at("runpod-scratch-linked.lock")).unwrap();
    fs::create_dir(at("runpod-scratch-linked")).unwrap();
    fs::write(at("runpod-scratch-astray.lock"), "").unwrap();
    symlink(kept.path(), at("runpod-scratch-astray")).unwrap();
    fs::create_dir(at("runpod-scratch-dir.lock")).unwrap();
    let before = entries(base.path());
    Scratch::new(Some(base.path().to_owned())).remove_leftovers();
    assert_eq!(entries(base.path()), before);
    assert_eq!(entries(kept.path()), ["file"]);
}

#[test]
fn a_base_that_is_not_there_has_no_leftovers() {
    Scratch::new(Some("/nonexistent/scratch".into())).remove_leftovers();
}

/// A worker whose jobs put a file into their directory and end as their input says.
fn ending_worker(base: &Path) -> Worker {
    let end = async |how: String, ctx: Context| -> JobResult<String> {
        let directory = ctx.scratch_dir()?;
        fs::write(directory.join("file"), "x")?;
        ctx.progress("there");
        match how.as_str() {
            "error" => return Err(JobError::message_only("as the input asks")),
            "panic" => panic!("as the input asks"),
            "cancelled" => {
                ctx.cancelled().await;
            }
            "dropped" => std::future::pending().await,
            _ => {}
        }
        Ok(directory.display().to_string())
    };
    Worker::new(move |how: String, ctx: Context| end(how, ctx)).scratch(base)
}

#[tokio::test(start_paused = true)]
async fn a_scratch_directory_goes_however_the_job_ends() {
    for how in ["result", "error", "panic", "cancelled", "dropped"] {
        let base = tempfile::tempdir().unwrap();
        let harness = Harness::new(ending_worker(base.path()));
        let mut job = harness.submit(json!(how));
        if matches!(how, "cancelled" | "dropped") {
            job.next_progress().await;
            assert_eq!(entries(base.path()).len(), 2, "a directory and its lock");
            job.cancel();
        }
        job.finished().await;
        let own = entries(base.path())
            .into_iter()
            .find(|name| !name.ends_with(LOCK))
            .unwrap();
        assert!(entries(&base.path().join(own)).is_empty(), "{how}");
        assert!(harness.shut_down().await);
        while !entries(base.path()).is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_handler_keeps_its_directory_until_its_thread_ends() {
    let base = tempfile::tempdir().unwrap();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let worker = Worker::blocking(move |_: u32, ctx: Context| -> JobResult<bool> {
        let file = ctx.scratch_dir()?.join("file");
        fs::write(&file, "x")?;
        ctx.progress(file.display().to_string());
        let _ = wait.lock().recv();
        Ok(file.exists())
    })
    .scratch(base.path())
    .cancel_grace(Duration::ZERO);
    let harness = Harness::new(worker);
    let mut job = harness.submit(json!(1));
    let file = job.next_progress().await;
    job.cancel();
    job.finished().await;
    let file = PathBuf::from(file.as_str().unwrap());
    assert!(file.exists(), "the thread still works there");
    go_on.send(()).unwrap();
    while file.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_job_there_is_no_directory_to_ask_for() {
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let harness = Harness::new(Worker::new(move |_: u32, ctx: Context| {
        *keep.lock() = Some(ctx);
        async { Ok::<_, JobError>(()) }
    }));
    harness.submit(json!(1)).finished().await;
    let context = kept.lock().take().unwrap();
    let error = context.scratch_dir().unwrap_err().to_string();
    assert!(error.contains("has ended"), "{error}");
}
