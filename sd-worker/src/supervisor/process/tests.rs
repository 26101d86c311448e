//! Starts and ends of processes.

use super::*;

fn shell(script: &str, grace: Duration) -> Process {
    let command = format!("sh -c '{script}'").parse().unwrap();
    Process::new(WebUiProgram::new(command, None, &[]), grace)
}

async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), what).await.unwrap()
}

#[tokio::test]
async fn an_end_is_told_with_its_code_and_the_last_lines() {
    let process = shell("echo one; echo two >&2; exit 3", Duration::from_secs(5));
    let start = process.start().unwrap();
    let end = soon(process.ended(start)).await;
    assert_eq!(end.how, "with exit code 3");
    let mut lines = process.tail().lines();
    lines.sort();
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(process.resident(), None);
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed_after_the_grace() {
    let process = shell(
        "trap \"\" TERM; echo up; while :; do sleep 1; done",
        Duration::from_millis(50),
    );
    let start = process.start().unwrap();
    soon(async {
        while process.tail().lines().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(process.stop()).await;
    assert_eq!(soon(process.ended(start)).await.how, "by signal 9");
}

/// A process that ignores SIGTERM, and is known to be ready to.
async fn deaf() -> Process {
    let process = shell(
        "trap \"\" TERM; echo up; while :; do sleep 1; done",
        Duration::from_mins(10),
    );
    process.start().unwrap();
    soon(async {
        while process.tail().lines().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    process
}

#[tokio::test]
async fn a_second_signal_ends_a_grace_that_has_begun_and_one_that_has_not() {
    let process = deaf().await;
    let stopping = process.clone();
    let stopped = tokio::spawn(async move { stopping.stop().await });
    soon(async {
        while !process.inner.group.lock().ending {
            tokio::task::yield_now().await;
        }
    })
    .await;
    process.inner.end_grace();
    soon(stopped).await.unwrap();
    assert_eq!(soon(process.ended(1)).await.how, "by signal 9");

    let process = deaf().await;
    process.inner.end_grace();
    assert!(process.resident().is_some(), "it was not told to end");
    soon(process.stop()).await;
    assert_eq!(soon(process.ended(1)).await.how, "by signal 9");
}

#[tokio::test]
async fn a_second_signal_does_not_kill_a_process_that_was_not_told_to_end() {
    let process = shell("exec sleep 1000", Duration::from_secs(5));
    // The one before has died by itself.
    soon(process.stop()).await;
    process.start().unwrap();
    process.inner.end_grace();
    // With its grace again: SIGKILL would have come before.
    process.inner.group.lock().without_grace = false;
    soon(process.stop()).await;
    assert_eq!(soon(process.ended(1)).await.how, "by signal 15");
}

#[tokio::test]
async fn what_it_has_started_ends_with_it() {
    let process = shell("sleep 1000 & echo $!; exit 0", Duration::from_secs(5));
    let start = process.start().unwrap();
    soon(process.ended(start)).await;
    let child: i32 = process.tail().lines()[0].parse().unwrap();
    // It is reaped, too.
    soon(async {
        while std::path::Path::new(&format!("/proc/{child}")).exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn it_can_be_started_again_until_it_is_closed() {
    let process = shell("exec sleep 1000", Duration::from_secs(5));
    assert_eq!(process.start().unwrap(), 1);
    assert_eq!(process.start().unwrap(), 1, "it runs already");
    assert!(process.resident().unwrap() > 0);
    soon(process.stop()).await;
    assert_eq!(process.start().unwrap(), 2);
    process.close();
    assert_eq!(soon(process.ended(2)).await.how, "by signal 15");
    assert!(matches!(process.start(), Err(CannotStart::Closed)));
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let program = WebUiProgram::new("no-such-webui".parse().unwrap(), None, &[]);
    let process = Process::new(program, Duration::ZERO);
    let error = process.start().unwrap_err().to_string();
    assert!(
        error.starts_with("'no-such-webui' can't be started: No such file"),
        "{error}"
    );
}
