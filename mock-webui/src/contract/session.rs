//! One run of cases against one server.

use serde_json::{Value, json};

use super::case::Case;
use super::client::{Client, ContractError, Received};
use super::options::ContractOptions;

/// Sends cases one after another, and leaves the server with the checkpoint that it had.
pub(super) struct Session {
    client: Client,
    checkpoint: Value,
    /// A recording leaves pictures out; one of the server's own stands in for those that are sent.
    picture: Option<String>,
}

impl Session {
    pub(super) async fn open(url: &str, options: &ContractOptions) -> Result<Self, ContractError> {
        let client = Client::new(url, options)?;
        let settings = client.get("/sdapi/v1/options").await?.json();
        Ok(Self {
            client,
            checkpoint: settings["sd_model_checkpoint"].clone(),
            picture: None,
        })
    }

    pub(super) async fn send(&mut self, case: &Case) -> Result<Received, ContractError> {
        if let Some((path, body)) = &case.before {
            self.client.post(path, body).await?;
        }
        if self.picture.is_none() && case.lacks_a_picture() {
            let body = json!({ "prompt": "x", "steps": 2, "width": 64, "height": 64, "seed": 42 });
            self.picture = first_picture(&self.client.post("/sdapi/v1/txt2img", &body).await?);
        }
        let received = self.client.send(case, self.picture.as_deref()).await;
        if let Some((path, body)) = &case.after {
            self.client.post(path, body).await?;
        }
        if case.changes_the_checkpoint() && self.checkpoint.is_string() {
            let body = json!({ "sd_model_checkpoint": self.checkpoint });
            self.client.post("/sdapi/v1/options", &body).await?;
        }
        received
    }
}

fn first_picture(received: &Received) -> Option<String> {
    let body = received.json();
    let picture = body["images"].get(0)?.as_str()?;
    Some(picture.to_owned())
}
