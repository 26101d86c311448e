//! Headers with a meaning in RunPod's protocols.

use http::HeaderName;

/// The content type of JSON.
pub const JSON: &str = "application/json";
/// The content type that the platform's own worker gives its posts, although their body is JSON.
pub const FORM: &str = "application/x-www-form-urlencoded";
/// Sent beside [`FORM`].
pub const CHARSET: HeaderName = HeaderName::from_static("charset");
/// The id of the job that a post is about.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Marks a webhook of the local platform, which refuses such requests itself. RunPod has no such header.
pub const LOCAL_WEBHOOK: HeaderName = HeaderName::from_static("x-runpod-local-webhook");
