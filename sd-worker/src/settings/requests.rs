//! Options about what jobs may ask for and what they get.

use clap::Args;

use crate::CheckLevel;

/// What jobs may ask for.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What jobs may ask for")]
#[non_exhaustive]
pub struct RequestSettings {
    /// A further route that jobs may call by `{"api": {"endpoint": …}}`, with * at its end for all that
    /// begin so: `/sam/*`. May be given several times; in the variable, separate by commas
    #[arg(long = "allow-route", env = "SD_WORKER_ALLOW_ROUTES", value_name = "PATH", value_delimiter = ',', value_parser = route)]
    pub allowed_routes: Vec<String>,

    /// Send pictures exactly as they came, even those that are URLs
    #[arg(long, env = "SD_WORKER_NO_URL_INPUTS", value_parser = clap::builder::BoolishValueParser::new())]
    pub no_url_inputs: bool,

    /// The largest picture that is fetched from a URL, in MiB
    #[arg(
        long,
        env = "SD_WORKER_URL_INPUT_LIMIT",
        value_name = "MIB",
        default_value_t = 16
    )]
    pub url_input_limit: u32,

    /// Whether jobs get what they ask for: names are looked up in the WebUI's lists before a render, and the
    /// answer is compared with the request after it. A job can say otherwise
    #[arg(long, env = "SD_WORKER_CHECKS", value_name = "LEVEL", default_value = "off")]
    pub checks: CheckLevel,
}

fn route(text: &str) -> Result<String, &'static str> {
    if crate::request::is_route(text.trim_end_matches('*')) {
        Ok(text.to_owned())
    } else {
        Err("write the path of a route, such as /sdapi/v1/server-restart or /sam/*")
    }
}
