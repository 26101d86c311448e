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
pub(super) const MODULES: &str = "/sdapi/v1/sd-modules";
pub(super) const LATENT_UPSCALERS: &str = "/sdapi/v1/latent-upscale-modes";
pub(super) const UNLOAD: &str = "/sdapi/v1/unload-checkpoint";
pub(super) const RELOAD: &str = "/sdapi/v1/reload-checkpoint";
pub(super) const RESTART: &str = "/sdapi/v1/server-restart";
pub(super) const SCRIPT_INFO: &str = "/sdapi/v1/script-info";
pub(super) const EXTENSIONS: &str = "/sdapi/v1/extensions";
pub(crate) const EMBEDDINGS: &str = "/sdapi/v1/embeddings";
pub(super) const KILL: &str = "/sdapi/v1/server-kill";

/// Routes that every WebUI with an API has. Where one is missing, something else answers.
const EVERYWHERE: [&str; 6] = [
    TXT2IMG,
    IMG2IMG,
    OPTIONS,
    MODELS,
    "/sdapi/v1/progress",
    "/sdapi/v1/samplers",
];

/// Routes that some servers lack, by the beginnings of their paths, and where they are.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "/sdapi/v1/sd-modules",
        "Forge has this route; A1111 lists its VAEs under sd-vae",
    ),
    (
        "/sdapi/v1/sd-vae",
        "A1111 has this route; Forge lists VAEs and text encoders under sd-modules",
    ),
    ("/sdapi/v1/schedulers", "A1111 has this route from version 1.9 on"),
    (
        "/sdapi/v1/refresh-embeddings",
        "A1111 has this route from version 1.9 on",
    ),
    ("/sdapi/v1/extensions", "A1111 has this route from version 1.7 on"),
    ("/sdapi/v1/preprocess", "A1111 had this route up to version 1.6"),
    (
        "/sdapi/v1/loras",
        "the WebUI's built-in extension for LoRAs has this route; it is switched off",
    ),
    (
        "/sdapi/v1/refresh-loras",
        "the WebUI's built-in extension for LoRAs has this route; it is switched off",
    ),
    (
        "/controlnet/",
        "the ControlNet extension has this route; it is not installed on this worker",
    ),
    ("/internal/", "the WebUI has this route only without --nowebui"),
    (
        "/sdapi/v1/server-",
        "the WebUI has this route only with --api-server-stop",
    ),
];

fn path(route: &str) -> &str {
    route.split_once('?').map_or(route, |(path, _)| path)
}

/// Whether every WebUI with an API has the route.
pub(super) fn is_everywhere(route: &str) -> bool {
    EVERYWHERE.contains(&path(route))
}

/// Which WebUI has a route that this one lacks, where that is known.
pub(super) fn where_it_is(route: &str) -> Option<&'static str> {
    let path = path(route);
    let known = ELSEWHERE.iter().find(|(start, _)| path.starts_with(start));
    known.map(|(_, hint)| *hint)
}
