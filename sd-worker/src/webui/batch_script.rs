//! Whether the server renders pictures of different jobs in one batch: it has the worker's own script, in the worker's
//! version (`docs/protocol/webui-api.md` §13).

use serde::Deserialize;

use super::client::WebUi;
use super::error::WebUiError;
use super::routes::{EXTENSIONS, SCRIPT_INFO};
use super::server_kind::ServerKind;
use crate::extension::{INSTALL, NAME, TITLE, label};

/// Why the server renders no different jobs in one batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoBatchScript {
    #[error("SD.Next is not known to render different jobs in one batch rightly")]
    SdNext,
    #[error("it was measured with versions from 1.9 on, and this one is older")]
    TooOld,
    #[error("the WebUI does not have the worker's extension; {INSTALL}")]
    NotInstalled,
    #[error(
        "the WebUI has the worker's extension and does not run it: extensions are disabled, or its log says why"
    )]
    NotRun,
    #[error("the WebUI has another version of the worker's extension; {INSTALL}")]
    OtherVersion,
}

#[derive(Deserialize)]
struct Script {
    #[serde(default)]
    name: String,
    #[serde(default)]
    is_img2img: Option<bool>,
    #[serde(default)]
    args: Vec<Control>,
}

#[derive(Deserialize)]
struct Control {
    label: Option<String>,
}

#[derive(Deserialize)]
struct Extension {
    #[serde(default)]
    name: String,
}

impl WebUi {
    /// Whether the server has the worker's script for batches of different jobs.
    pub(crate) async fn batch_script(&self) -> Result<Result<(), NoBatchScript>, WebUiError> {
        match self.server_kind().await? {
            ServerKind::SdNext => return Ok(Err(NoBatchScript::SdNext)),
            ServerKind::UpTo1_8 => return Ok(Err(NoBatchScript::TooOld)),
            ServerKind::V1_9 | ServerKind::V1_10 | ServerKind::Forge => {}
        }
        let scripts: Vec<Script> = self.get_small(SCRIPT_INFO).await?;
        let ours = scripts
            .iter()
            .find(|script| script.name == TITLE && script.is_img2img != Some(true));
        if let Some(script) = ours {
            let version = script.args.first().and_then(|control| control.label.as_deref());
            let is_ours = version == Some(label().as_str());
            return Ok(if is_ours {
                Ok(())
            } else {
                Err(NoBatchScript::OtherVersion)
            });
        }
        // A server that does not list its extensions counts as one without.
        let extensions: Vec<Extension> = self.get_small(EXTENSIONS).await.unwrap_or_default();
        let is_installed = extensions.iter().any(|extension| extension.name == NAME);
        Ok(Err(if is_installed {
            NoBatchScript::NotRun
        } else {
            NoBatchScript::NotInstalled
        }))
    }
}
