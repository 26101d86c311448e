//! Requests that change the WebUI itself: settings, the checkpoint in memory, the process
//! (`docs/protocol/webui-api.md` §2 and §9).

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::error::WebUiError;
use super::{SIDE_TIMEOUT, WebUi, refusal};

pub(super) const OPTIONS: &str = "/sdapi/v1/options";
const UNLOAD: &str = "/sdapi/v1/unload-checkpoint";
const RELOAD: &str = "/sdapi/v1/reload-checkpoint";
const RESTART: &str = "/sdapi/v1/server-restart";
const KILL: &str = "/sdapi/v1/server-kill";

impl WebUi {
    /// Every setting with its value.
    pub(super) async fn options(&self) -> Result<Value, WebUiError> {
        self.get_small(OPTIONS).await
    }

    /// Changes settings. Selecting a checkpoint loads it before this returns, so there is no time limit.
    pub(super) async fn set_options(&self, changes: &Value) -> Result<(), WebUiError> {
        self.post(OPTIONS, Some(changes), None).await
    }

    /// Takes the checkpoint off the GPU and puts it back, which frees whatever fragments were left there.
    pub(crate) async fn reload_checkpoint(&self, limit: Duration) -> Result<(), WebUiError> {
        self.post(UNLOAD, None, Some(limit)).await?;
        self.post(RELOAD, None, Some(limit)).await
    }

    /// Ends the WebUI over its API, for something else to start it again. It must have been started with
    /// `--api-server-stop`.
    pub(crate) async fn restart_by_api(&self) -> Result<(), WebUiError> {
        match self.post(RESTART, None, Some(SIDE_TIMEOUT)).await {
            // It knows of nothing that would start it again, but somebody has told us that there is.
            Err(error) if error.status() == Some(501) => {
                match self.post(KILL, None, Some(SIDE_TIMEOUT)).await {
                    // It ends without an answer.
                    Err(WebUiError::Lost { .. }) => Ok(()),
                    ended => ended,
                }
            }
            Err(WebUiError::Lost { .. }) => Ok(()),
            ended => ended,
        }
    }

    async fn post(
        &self,
        route: &str,
        body: Option<&Value>,
        limit: Option<Duration>,
    ) -> Result<(), WebUiError> {
        let mut request = self.request(Method::POST, route);
        if let Some(body) = body {
            request = request
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        if let Some(limit) = limit {
            request = request.timeout(limit);
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| WebUiError::from_transport(&error))?;
        if response.status() == 200 {
            Ok(())
        } else {
            Err(refusal(response, self.answer_idle).await)
        }
    }
}
