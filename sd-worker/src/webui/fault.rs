//! Classifies error answers (`docs/protocol/webui-api.md` §10 and §12).

use super::problem::{Problem, Shape};
use crate::code::Code;

/// The kind of fault that an error answer reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Parameters,
    TooLong,
    Picture,
    OutOfMemory,
    Gpu,
    Nan,
    DiskFull,
    NoModel,
    BrokenModel,
    Credentials,
    /// What answers knows no route of the WebUI's API.
    Route,
    /// This WebUI does not have this route.
    NoRoute,
    Unavailable,
    /// Tensors do not fit together: two families of models are mixed.
    MixedModels,
    /// More requests than the WebUI allows. SD.Next refuses after the render.
    RateLimit,
    /// The checkpoint has no text encoder or VAE of its own, as those of Flux.
    NoModules,
    Other,
}

/// Texts that identify the fault of a 500. The first match counts.
const FAULTS_BY_TEXT: &[(Fault, &[&str])] = &[
    (Fault::OutOfMemory, &["out of memory", "not enough memory"]),
    (
        Fault::Gpu,
        &[
            "illegal memory access",
            "device-side assert",
            "cuda error",
            "cublas_status",
            "cudnn_status",
            "no cuda gpus are available",
        ],
    ),
    (Fault::Nan, &["a tensor with all nans", "a tensor with nans"]),
    (
        Fault::DiskFull,
        &["no space left on device", "disk quota exceeded"],
    ),
    (Fault::NoModel, &["no checkpoints found"]),
    (
        Fault::NoModules,
        &[
            "clip state dict",
            "t5 state dict",
            "text encoder state dict",
            "vae state dict",
        ],
    ),
    (
        Fault::BrokenModel,
        &["error while deserializing header", "headertoolarge"],
    ),
    (
        Fault::Picture,
        &[
            "invalid encoded image",
            "cannot identify image file",
            "invalid image url",
        ],
    ),
    (
        Fault::Parameters,
        &[
            "could not find upscaler named",
            "could not find checkpoint with name",
            "request to local resource not allowed",
            "requests not allowed",
            "overflow when unpacking long",
            "invalid image format",
            "unknown sampler",
            "unknown checkpoint",
            "unknown scheduler",
        ],
    ),
    (
        Fault::MixedModels,
        &[
            "shapes cannot be multiplied",
            "error(s) in loading state_dict",
            "given groups=1, weight of size",
        ],
    ),
];

impl Fault {
    /// Classifies an answer by its status and its explanation.
    pub(super) fn of(status: u16, problem: &Problem) -> Self {
        match status {
            400 | 422 => Self::Parameters,
            413 | 414 | 431 => Self::TooLong,
            404 if problem.shape == Shape::Application => Self::Parameters,
            // Forge's own errors have the framework's shape.
            404 if problem.shape == Shape::Detail && problem.text != "Not Found" => Self::Parameters,
            401 | 403 => Self::Credentials,
            429 => Self::RateLimit,
            502..=504 => Self::Unavailable,
            500.. => Self::of_failure(problem),
            // 405, a bare 404, redirects, and every status that no WebUI sends.
            _ => Self::Route,
        }
    }

    fn of_failure(problem: &Problem) -> Self {
        match problem.exception.as_str() {
            "OutOfMemoryError" => return Self::OutOfMemory,
            "NansException" => return Self::Nan,
            "SafetensorError" => return Self::BrokenModel,
            "UnidentifiedImageError" => return Self::Picture,
            _ => {}
        }
        // `model 'nope' not found`
        if problem.text.starts_with("model '") && problem.text.ends_with("' not found") {
            return Self::Parameters;
        }
        FAULTS_BY_TEXT
            .iter()
            .find(|(_, texts)| texts.iter().any(|words| problem.mentions(words)))
            .map_or(Self::Other, |(fault, _)| *fault)
    }

    pub(super) const fn code(self) -> Code {
        match self {
            Self::Parameters | Self::TooLong => Code::InvalidParameters,
            Self::Picture => Code::InvalidPicture,
            Self::OutOfMemory => Code::OutOfMemory,
            Self::Gpu => Code::GpuFailed,
            Self::Nan => Code::NanPicture,
            Self::DiskFull => Code::DiskFull,
            Self::NoModel
            | Self::BrokenModel
            | Self::Credentials
            | Self::Route
            | Self::NoRoute
            | Self::NoModules => Code::Misconfigured,
            Self::Unavailable | Self::RateLimit => Code::Unavailable,
            Self::MixedModels | Self::Other => Code::Failed,
        }
    }

    pub(super) const fn summary(self) -> &'static str {
        match self {
            Self::Parameters => "the WebUI refused the parameters",
            Self::TooLong => "the request is too long for the WebUI",
            Self::Picture => "the WebUI can't read a picture of the request",
            Self::OutOfMemory => "the GPU ran out of memory",
            Self::Gpu => "the GPU failed",
            Self::Nan => "the model computed no numbers",
            Self::DiskFull => "the WebUI's disk is full",
            Self::NoModel => "the WebUI has no model",
            Self::BrokenModel => "the WebUI can't read a model file",
            Self::Credentials => "the WebUI refused the worker's credentials",
            Self::Route => "what answers at the WebUI's address does not know the route",
            Self::NoRoute => "this WebUI does not have the route",
            Self::Unavailable | Self::RateLimit => "the WebUI is not available",
            Self::MixedModels => "the models do not fit together",
            Self::NoModules => "the checkpoint lacks its text encoders or its VAE",
            Self::Other => "the WebUI failed",
        }
    }

    /// What the hint of the code does not say.
    pub(super) const fn hint(self) -> Option<&'static str> {
        match self {
            Self::TooLong => Some("send smaller pictures, or fewer at once"),
            Self::NoModel => Some("put a checkpoint into the WebUI's models/Stable-diffusion"),
            Self::BrokenModel => Some("replace the file by a complete one; a download may have broken off"),
            Self::Credentials => Some("set SD_WORKER_WEBUI_AUTH to what --api-auth was given"),
            Self::Route => Some("start the WebUI with --api, and check SD_WORKER_WEBUI_URL and its path"),
            Self::NoRoute => Some(
                "the route belongs to another version of the WebUI, or to an extension that is not installed",
            ),
            Self::MixedModels => Some(
                "families of models are mixed: LoRAs, ControlNet models, VAE, refiner and embeddings have to be made for the checkpoint's own (SD 1.5, SD 2, SDXL, …)",
            ),
            Self::Unavailable => Some("send the job again"),
            Self::RateLimit => Some(
                "raise the WebUI's rate limit (SD.Next: server_rate_limit); it refuses after the render, so each repeat costs one",
            ),
            Self::NoModules => Some(
                "name them in override_settings.forge_additional_modules, such as [\"clip_l.safetensors\", \"t5xxl_fp8_e4m3fn.safetensors\", \"ae.safetensors\"]",
            ),
            _ => None,
        }
    }
}
