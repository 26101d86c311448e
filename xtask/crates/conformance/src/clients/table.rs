//! The table of what the published clients do, and how it is written down.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::scripted::Act;

/// One case of the clients' table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientCase {
    pub(crate) case: String,
    /// What the client is made to do, in the words of the scripts.
    pub(crate) steps: Vec<String>,
    #[serde(default = "some_input")]
    pub(crate) input: Value,
    /// What the worker behind the endpoint does with the job; without any, there is no worker.
    #[serde(default)]
    pub(crate) worker: Vec<Act>,
    /// The platform answers `/runsync` after a short wait, finished or not.
    #[serde(default)]
    pub(crate) short_wait: bool,
    #[serde(default)]
    pub(crate) wrong_key: bool,
    #[serde(default)]
    pub(crate) unknown_endpoint: bool,
    /// What is expected of each client; clients that do the same share an entry: `"python, asyncio"`.
    expect: BTreeMap<String, Expected>,
}

/// What one client returns and what the platform sees of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    returned: Vec<Value>,
    saw: Vec<String>,
    /// Why it is so, where one would expect something else.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

fn some_input() -> Value {
    json!({ "n": 1 })
}

impl ClientCase {
    /// What is expected of a client; `None` if it cannot do this at all.
    pub(crate) fn expected_of(&self, client: &str) -> Option<&Expected> {
        self.expect
            .iter()
            .find(|(clients, _)| clients.split(", ").any(|name| name == client))
            .map(|(_, expected)| expected)
    }
}

impl Expected {
    pub(crate) fn value(&self) -> Value {
        json!({ "returned": self.returned, "saw": self.saw })
    }
}

/// The clients' table.
pub(crate) fn clients() -> anyhow::Result<Vec<ClientCase>> {
    serde_json::from_str(include_str!("../../clients.json"))
        .context("the table of clients (xtask/crates/conformance/clients.json) cannot be read")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_clients_table_can_be_read_and_no_case_is_there_twice() {
        let cases = clients().unwrap();
        let names: HashSet<_> = cases.iter().map(|case| &case.case).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            assert!(case.expected_of("javascript").is_some(), "{}", case.case);
        }
    }
}
