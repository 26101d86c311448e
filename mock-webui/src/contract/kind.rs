//! Which server answers, and what a server of its kind should answer.

use http::header;

use super::case::Suite;
use super::client::{Client, ContractError};
use super::options::ContractOptions;
use super::session::Session;
use crate::profile::Profile;

/// Finds out which profile a server answers like, by routes that only some have.
pub async fn profile_of(url: &str, options: &ContractOptions) -> Result<Profile, ContractError> {
    let client = Client::new(url, options)?;
    let found = |path: &'static str| {
        let client = &client;
        async move {
            let answer = client.get(path).await?;
            Ok::<_, ContractError>(answer.status.as_u16() != 404)
        }
    };
    if found("/sdapi/v1/sd-modules").await? {
        return Ok(Profile::Forge);
    }
    if !found("/sdapi/v1/latent-upscale-modes").await? {
        return Ok(Profile::SdNext);
    }
    if !found("/sdapi/v1/schedulers").await? {
        return Ok(Profile::V1_8);
    }
    let schedulers = client.get("/sdapi/v1/schedulers").await?.json();
    let newer = schedulers
        .as_array()
        .is_some_and(|list| list.iter().any(|scheduler| scheduler["name"] == "beta"));
    Ok(if newer { Profile::V1_10_1 } else { Profile::V1_9_3 })
}

impl Suite {
    /// The same requests, with the answers of another server as those that are expected.
    ///
    /// # Errors
    ///
    /// When that server does not answer.
    pub async fn expecting_answers_of(
        mut self,
        url: &str,
        options: &ContractOptions,
    ) -> Result<Self, ContractError> {
        let mut session = Session::open(url, options).await?;
        for case in &mut self.cases {
            let answer = session.send(case).await?;
            case.status = answer.status.as_u16();
            case.content_type = Some(answer.header(&header::CONTENT_TYPE));
            case.timed = Some(!answer.named_header("x-process-time").is_empty());
            for (name, value) in &mut case.headers {
                *value = answer.named_header(name);
            }
            case.body = answer.json();
        }
        Ok(self)
    }
}
