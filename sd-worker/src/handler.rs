//! What happens to a job (`docs/protocol/request-flow.md`, steps 2 to 7).

use runpod_sdk::json::RawJson;
use runpod_sdk::{Context, JobError, State, handler};

use crate::app::App;
use crate::webui::{Call, WebUiError};

/// Sends the job's input to the WebUI and returns the WebUI's answer, both byte for byte.
#[handler]
pub(crate) async fn forward(
    input: RawJson,
    ctx: Context,
    State(app): State<App>,
) -> Result<RawJson, JobError> {
    let answer = answer(input, &ctx, &app).await;
    answer.map_err(|error| app.health.explain(error))
}

async fn answer(input: RawJson, ctx: &Context, app: &App) -> Result<RawJson, WebUiError> {
    require_object(&input)?;
    // The WebUI was ready before the first job was taken. What a job has to wait for is its turn: until
    // the GPU is free of whatever an earlier, broken job may have left behind.
    let turn = app.renderer.turn(ctx).await?;
    ctx.mark("readiness_checked");

    let request = match &app.compat {
        Some(compat) => compat.adapt(input).await,
        None => input,
    };
    ctx.mark("inference_started");
    let answer = turn.render(&Call::txt2img(request), ctx).await?;
    ctx.mark("inference_finished");
    Ok(answer)
}

/// Everything else about the input is for the WebUI to judge.
fn require_object(input: &RawJson) -> Result<(), WebUiError> {
    // The text is known to be JSON, so its first character tells what it is.
    let first = input.as_bytes().iter().find(|byte| !byte.is_ascii_whitespace());
    let found = match first {
        Some(b'{') => return Ok(()),
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null or missing",
        _ => "a number",
    };
    Err(WebUiError::NotAnObject { found })
}

#[cfg(test)]
mod tests {
    use runpod_sdk::IntoJobError as _;

    use super::*;

    #[test]
    fn only_an_object_is_sent() {
        for good in ["{}", " \n{\"prompt\": \"x\"}"] {
            assert!(require_object(&RawJson::parse(good).unwrap()).is_ok());
        }
        for (bad, found) in [
            ("null", "null or missing"),
            ("[]", "a list"),
            ("\"x\"", "a text"),
            ("-1", "a number"),
            ("true", "true or false"),
        ] {
            let error = require_object(&RawJson::parse(bad).unwrap())
                .unwrap_err()
                .into_job_error();
            assert_eq!(error.code().as_str(), "INVALID_INPUT");
            assert_eq!(
                error.message(),
                format!("input: expected an object, found {found}")
            );
        }
    }
}
