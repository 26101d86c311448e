//! Options about what jobs may ask for and what they get.

use clap::Args;
use clap::builder::BoolishValueParser;
use serde::Deserialize;

use super::options_macro::options;
use super::values::{route, variable_name};

options! {
    /// What jobs may ask for.
    #[derive(Debug, Clone, Args)]
    #[command(next_help_heading = "What jobs may ask for")]
    pub struct RequestSettings {
        allowed_routes: Vec<String> =
            "allow-route", "SD_WORKER_ALLOW_ROUTES", (value_name = "PATH", value_delimiter = ',', value_parser = route),
            "A further route that jobs may call by `{\"api\": {\"endpoint\": …}}`, with * at its end for all that begin so: `/sam/*`. May be given several times; in the variable, separate by commas",
            when "jobs use the API of an extension";

        allowed_settings: Vec<String> =
            "allow-setting", "SD_WORKER_ALLOW_SETTINGS", (value_name = "NAME", value_delimiter = ',', value_parser = variable_name),
            "A setting about where the WebUI writes that jobs may set by `override_settings` and `options`, with * at its end for all that begin so: `outdir_*`. May be given several times; in the variable, separate by commas",
            when "jobs save their pictures on the network volume, and choose the folder or the file names";

        no_url_inputs: bool =
            "no-url-inputs", "SD_WORKER_NO_URL_INPUTS", (value_parser = BoolishValueParser::new()),
            "Send pictures to the WebUI exactly as they came, even those that are URLs",
            when "the worker must not open connections to addresses that callers choose";

        url_input_limit: u32 =
            "url-input-limit", "SD_WORKER_URL_INPUT_LIMIT", (value_name = "MIB", default_value_t = 16),
            "The largest picture that is fetched from a URL, in MiB",
            when "jobs upscale or edit pictures whose files are larger";

        checks: CheckLevel =
            "checks", "SD_WORKER_CHECKS", (value_name = "LEVEL", default_value = "off"),
            "Whether jobs get what they ask for: names are looked up in the WebUI's lists before a render, and the answer is compared with the request after it. A job can say otherwise",
            when "callers should learn of what the WebUI drops or replaces without a word, such as an unknown field or a missing LoRA";
    }
}

/// What happens when a job would not get what it asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CheckLevel {
    /// Nothing is looked at
    #[default]
    Off,
    /// The answer gets a list `warnings` at its end
    Warn,
    /// The job fails with `NOT_APPLIED`
    Strict,
}
