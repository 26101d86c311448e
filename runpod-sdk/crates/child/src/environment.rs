//! Which variables of this process a child gets.
//!
//! A worker's environment holds keys: those of the platform, of a bucket, of a model hub, of telemetry. A child that
//! runs code of others, such as a WebUI with its extensions, gets what programs need to run, and no key.

use std::ffi::OsString;

/// The variables that every child gets. `*` at the end stands for any rest.
const USUAL: &[&str] = &[
    // Where programs, libraries and files are.
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LD_*",
    "XDG_*",
    // The way to the internet.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    // The GPU.
    "CUDA_*",
    "NVIDIA_*",
    "NCCL_*",
    "HIP_*",
    "ROCR_*",
    "HSA_*",
    // Python and its libraries.
    "PYTHON*",
    "VIRTUAL_ENV",
    "CONDA_*",
    "TORCH_*",
    "TORCHINDUCTOR_*",
    "PYTORCH_*",
    "TRITON_*",
    "TRANSFORMERS_*",
    "HF_HOME",
    "HF_HUB_*",
    "OMP_*",
    "MKL_*",
    "MALLOC_*",
    // The WebUI's own command line.
    "COMMANDLINE_ARGS",
];

/// Words of names whose values are secrets.
const SECRET_WORDS: [&str; 11] = [
    "KEY",
    "KEYS",
    "ACCESSKEY",
    "PRIVATEKEY",
    "AUTH",
    "PASSWD",
    "PASSPHRASE",
    "PAT",
    "CREDENTIAL",
    "CREDENTIALS",
    "COOKIE",
];
/// Ends of such words: `APITOKEN`.
const SECRET_ENDS: [&str; 6] = ["TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "APIKEY"];

/// Whether a name says that its value is a secret: `HF_TOKEN`, `NVIDIA_API_KEY`, `webui_password`.
///
/// ```
/// assert!(runpod_child::is_secret_name("AWS_SECRET_ACCESS_KEY"));
/// assert!(!runpod_child::is_secret_name("PYTHON_KEYRING_BACKEND"));
/// ```
pub fn is_secret_name(name: &str) -> bool {
    name.split(|character: char| !character.is_ascii_alphanumeric())
        .map(str::to_ascii_uppercase)
        .any(|word| {
            SECRET_WORDS.contains(&word.as_str()) || SECRET_ENDS.iter().any(|end| word.ends_with(end))
        })
}

/// Which variables of this process a child gets.
///
/// A name counts only if it is given in full where it says that its value is a secret: neither the usual variables nor a
/// pattern such as `HF_*` pass on a token.
#[derive(Debug, Clone)]
pub struct Inheritance {
    patterns: Vec<String>,
}

impl Inheritance {
    /// No variable at all.
    pub fn nothing() -> Self {
        Self { patterns: Vec::new() }
    }

    /// What programs need to find files, the network, the GPU and Python: `PATH`, `HOME`, `LANG`, `LC_*`, `LD_*`,
    /// `XDG_*`, proxies and certificates, `CUDA_*`, `NVIDIA_*`, `PYTHON*`, `TORCH_*`, `PYTORCH_*`, `HF_HOME`, `HF_HUB_*`,
    /// `COMMANDLINE_ARGS` and the like. No tokens.
    pub fn usual() -> Self {
        Self::nothing().and(USUAL.iter().copied())
    }

    /// More variables. A name with `*` at its end stands for all that begin so.
    #[must_use]
    pub fn and(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.patterns.extend(names.into_iter().map(Into::into));
        self
    }

    /// Whether a child gets the variable of this name.
    pub fn has(&self, name: &str) -> bool {
        let is_secret = is_secret_name(name);
        self.patterns
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => !is_secret && name.starts_with(start),
                None => pattern == name,
            })
    }

    /// The names of this process's variables that a child does not get, in order.
    pub fn withheld(&self) -> Vec<String> {
        let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        let mut withheld: Vec<String> = names.filter(|name| !self.has(name)).collect();
        withheld.sort_unstable();
        withheld
    }

    /// This process's variables that a child gets.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| self.has(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_what_they_need_to_run() {
        let usual = Inheritance::usual();
        for name in [
            "PATH",
            "HOME",
            "LANG",
            "LC_ALL",
            "LD_LIBRARY_PATH",
            "LD_PRELOAD",
            "CUDA_VISIBLE_DEVICES",
            "NVIDIA_DRIVER_CAPABILITIES",
            "PYTORCH_CUDA_ALLOC_CONF",
            "TORCH_HOME",
            "HF_HOME",
            "HF_HUB_OFFLINE",
            "PYTHONPATH",
            "COMMANDLINE_ARGS",
            "https_proxy",
            "NO_PROXY",
        ] {
            assert!(usual.has(name), "{name}");
        }
    }

    #[test]
    fn no_key_is_inherited_by_a_family_or_a_pattern() {
        let inherited = Inheritance::usual().and(["HF_*", "RUNPOD_*", "*"]);
        for name in [
            "RUNPOD_AI_API_KEY",
            "RUNPOD_API_KEY",
            "BUCKET_ACCESS_KEY_ID",
            "BUCKET_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "HF_TOKEN",
            "HF_HUB_TOKEN",
            "HUGGING_FACE_HUB_TOKEN",
            "NVIDIA_API_KEY",
            "CIVITAI_APITOKEN",
            "SD_WORKER_WEBUI_AUTH",
            "DB_PASSWORD",
            "hf_token",
        ] {
            assert!(!inherited.has(name), "{name}");
        }
    }

    #[test]
    fn the_worker_s_own_variables_and_unknown_ones_are_not_inherited() {
        let usual = Inheritance::usual();
        for name in [
            "RUNPOD_WEBHOOK_GET_JOB",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "BUCKET_ENDPOINT_URL",
            "SD_WORKER_WEBUI_URL",
            "DATABASE_URL",
            "PATHX",
            "path",
        ] {
            assert!(!usual.has(name), "{name}");
        }
    }

    #[test]
    fn a_name_in_full_opens_a_variable_whatever_it_is_called() {
        let inherited = Inheritance::usual().and(["HF_TOKEN", "MY_*"]);
        assert!(inherited.has("HF_TOKEN") && inherited.has("MY_MODEL"));
        assert!(!inherited.has("MY_TOKEN") && !inherited.has("HF_TOKEN_2"));
        assert!(!Inheritance::nothing().has("PATH"));
    }

    #[test]
    fn words_that_only_sound_like_secrets_are_none() {
        for name in [
            "PYTHON_KEYRING_BACKEND",
            "canvas_hotkey_zoom",
            "keyedit_delimiters",
            "AUTHOR",
            "hires_fix_refiner_pass",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
