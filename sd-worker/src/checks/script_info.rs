//! The list of scripts with their arguments, as the WebUI gives it.

use serde::Deserialize;
use serde_json::Value;

/// One entry of the list of scripts with their arguments.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Script {
    pub(super) name: String,
    pub(super) is_alwayson: bool,
    pub(super) is_img2img: bool,
    #[serde(default)]
    pub(super) args: Vec<Value>,
}
