//! Requests that change the WebUI itself: settings, the loaded checkpoint, the process
//! (`docs/protocol/webui-api.md` §2 and §9).

use std::time::Duration;

use serde_json::Value;

use super::client::{SIDE_TIMEOUT, WebUi};
use super::error::WebUiError;
use super::routes::{KILL, OPTIONS, RELOAD, RESTART, UNLOAD};

impl WebUi {
    /// Every setting with its value.
    pub(super) async fn options(&self) -> Result<Value, WebUiError> {
        self.get_small(OPTIONS).await
    }

    /// Changes settings. Selecting a checkpoint loads it before this returns, so there is no time limit.
    pub(crate) async fn set_options(&self, changes: &Value) -> Result<(), WebUiError> {
        self.post(OPTIONS, Some(changes), None).await
    }

    /// Unloads the checkpoint and loads it again, which frees fragmented GPU memory.
    pub(crate) async fn reload_checkpoint(&self, limit: Duration) -> Result<(), WebUiError> {
        self.post(UNLOAD, None, Some(limit)).await?;
        self.post(RELOAD, None, Some(limit)).await
    }

    /// Ends the WebUI over its API, so that its own supervisor starts it again. It must have been started with
    /// `--api-server-stop`.
    pub(crate) async fn restart_by_api(&self) -> Result<(), WebUiError> {
        let ended = match self.post(RESTART, None, Some(SIDE_TIMEOUT)).await {
            // It knows of no supervisor, but the worker's owner says that there is one.
            Err(error) if error.status() == Some(501) => self.post(KILL, None, Some(SIDE_TIMEOUT)).await,
            ended => ended,
        };
        match ended {
            // It ends without an answer.
            Err(WebUiError::Lost { .. }) => Ok(()),
            ended => ended,
        }
    }
}
