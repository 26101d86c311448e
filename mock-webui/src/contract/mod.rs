//! One table of requests, run against a mock or a real WebUI.
//!
//! Each case has a request and the answer of the real server. [`run`] sends the requests and lists what
//! differs, field by field. What differs between any two runs of the real server is masked first: random
//! seeds, time stamps, picture data, the model's name and hash.
//!
//! ```
//! use mock_webui::{MockWebUi, contract};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let webui = MockWebUi::start().await;
//! let report = contract::run(webui.url(), &contract::Suite::builtin(), &contract::ContractOptions::default()).await?;
//! assert!(report.passed(), "{report}");
//! println!("{}", report.to_markdown());
//! # Ok(()) }
//! ```

mod case;
mod client;
mod compare;
mod kind;
mod mask;
mod options;
mod report;
mod session;

use std::time::Instant;

use http::header;

pub use case::{Case, Compare, Suite, SuiteError};
pub use client::ContractError;
use client::Received;
pub use kind::profile_of;
use mask::masked;
pub use options::ContractOptions;
pub use report::{ContractReport, Difference, Outcome};
use session::Session;

/// Runs every case of the suite against the server at `url`, one after another.
///
/// A case that gets no answer is a difference of that case. Only a server that cannot be reached at all,
/// or a URL that is none, is an error.
pub async fn run(
    url: &str,
    suite: &Suite,
    options: &ContractOptions,
) -> Result<ContractReport, ContractError> {
    let mut session = Session::open(url, options).await?;
    let mut outcomes = Vec::with_capacity(suite.cases().len());
    for case in suite.cases() {
        let begun = Instant::now();
        let differences = match session.send(case).await {
            Ok(received) => differences(case, &received),
            Err(error) => vec![Difference::new("$", "an answer", error.to_string())],
        };
        outcomes.push(Outcome::new(case, differences, begun.elapsed()));
    }
    Ok(ContractReport::new(url, outcomes))
}

fn differences(case: &Case, received: &Received) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut expect = |path: &str, expected: String, actual: String| {
        if expected != actual {
            found.push(Difference::new(path, expected, actual));
        }
    };
    expect(
        "status",
        case.status.to_string(),
        received.status.as_u16().to_string(),
    );
    expect(
        "content-type",
        case.content_type.clone().unwrap_or_default(),
        received.header(&header::CONTENT_TYPE),
    );
    for (name, value) in &case.headers {
        expect(
            name,
            without_host(value),
            without_host(&received.named_header(name)),
        );
    }
    if let Some(timed) = case.timed {
        let seen = !received.named_header("x-process-time").is_empty();
        expect("x-process-time", timed.to_string(), seen.to_string());
    }
    let expected = masked(&case.body, &case.request_body());
    let actual = masked(&received.json(), &case.request_body());
    compare::compare(case.compare, &expected, &actual, &mut found);
    found
}

/// A header without the server's own host in a link.
fn without_host(value: &str) -> String {
    match value
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((_, path)) => format!("/{path}"),
        None => value.to_owned(),
    }
}
