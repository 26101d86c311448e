//! Figures that the mock promises. They measure, so they run by request and in a release build:
//! `cargo test --release -p mock-webui --test webui -- --ignored --nocapture figures`

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;

/// The program, on a free port.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mock-webui"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("a line");
        let url = line.trim().rsplit(' ').next().expect("a URL").to_owned();
        Self { child, url }
    }

    /// Processor time that the program has used, from the kernel's table of processes.
    fn processor_time(&self) -> Duration {
        const TICK: Duration = Duration::from_millis(10);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .expect("a name")
            .split_whitespace()
            .collect();
        let ticks: u32 =
            fields[11].parse::<u32>().expect("user") + fields[12].parse::<u32>().expect("system");
        TICK * ticks
    }

    async fn render(&self, client: &Client, side: u32, steps: u32, seed: u32) {
        let body = json!({ "prompt": "a cat", "steps": steps, "width": side, "height": side, "seed": seed });
        let request = client.post(format!("{}/sdapi/v1/txt2img", self.url)).json(&body);
        let answer = request.send().await.expect("answered");
        assert!(answer.status().is_success());
        answer.bytes().await.expect("a body");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "measures; for a release build"]
async fn an_answer_of_512_by_512_costs_under_15_ms_of_processor_time() {
    const ANSWERS: u32 = 100;
    let (program, client) = (Program::start(&[]), crate::support::client());
    program.render(&client, 512, 25, 0).await;
    let before = program.processor_time();
    for seed in 1..=ANSWERS {
        program.render(&client, 512, 25, seed).await;
    }
    let each = program.processor_time().saturating_sub(before) / ANSWERS;
    println!("512 by 512: {each:?} of processor time an answer");
    assert!(each < Duration::from_millis(15), "{each:?}");
}

#[tokio::test]
#[ignore = "measures; for a release build"]
async fn progress_takes_under_20_ms_while_50_requests_wait() {
    let (program, client) = (Program::start(&["--step-ms", "60000"]), crate::support::client());
    let body = json!({ "prompt": "a cat", "steps": 9, "width": 64, "height": 64 });
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn(
                client
                    .post(format!("{}/sdapi/v1/txt2img", program.url))
                    .json(&body)
                    .send(),
            )
        })
        .collect();
    let state = format!("{}/__mock/gpu", program.url);
    loop {
        let seen: serde_json::Value = client
            .get(&state)
            .send()
            .await
            .expect("answered")
            .json()
            .await
            .expect("JSON");
        if seen["queued"] == 50 {
            break;
        }
    }
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        let url = format!("{}/sdapi/v1/progress", program.url);
        client
            .get(url)
            .send()
            .await
            .expect("answered")
            .bytes()
            .await
            .expect("a body");
        times.push(begun.elapsed());
    }
    times.sort();
    println!(
        "progress: median {:?}, 99 of 100 under {:?}",
        times[100], times[197]
    );
    assert!(times[197] < Duration::from_millis(20), "{:?}", times[197]);
    for request in waiting {
        request.abort();
    }
}
