//! Routes of the WebUI that the worker itself uses.

pub(crate) const TXT2IMG: &str = "/sdapi/v1/txt2img";
pub(crate) const IMG2IMG: &str = "/sdapi/v1/img2img";
pub(crate) const EXTRA_SINGLE: &str = "/sdapi/v1/extra-single-image";
pub(crate) const EXTRA_BATCH: &str = "/sdapi/v1/extra-batch-images";
pub(crate) const INTERROGATE: &str = "/sdapi/v1/interrogate";
pub(crate) const CONTROLNET_DETECT: &str = "/controlnet/detect";
pub(crate) const OPTIONS: &str = "/sdapi/v1/options";

pub(super) const MODELS: &str = "/sdapi/v1/sd-models";
pub(super) const PROGRESS: &str = "/sdapi/v1/progress?skip_current_image=true";
pub(super) const PROGRESS_WITH_PREVIEW: &str = "/sdapi/v1/progress?skip_current_image=false";
pub(super) const INTERRUPT: &str = "/sdapi/v1/interrupt";
pub(super) const SAMPLERS: &str = "/sdapi/v1/samplers";
pub(super) const SCHEDULERS: &str = "/sdapi/v1/schedulers";
pub(super) const UNLOAD: &str = "/sdapi/v1/unload-checkpoint";
pub(super) const RELOAD: &str = "/sdapi/v1/reload-checkpoint";
pub(super) const RESTART: &str = "/sdapi/v1/server-restart";
pub(super) const KILL: &str = "/sdapi/v1/server-kill";
