//! What a job needs beside its input: made once at start, shared by all jobs.

use std::sync::Arc;

use crate::checks::Checks;
use crate::compat::Compat;
use crate::request::{Allowed, Pictures};
use crate::settings::Settings;
use crate::webui::{NotReady, Renderer, WebUi};

/// The worker's state. Cloning it costs two reference counts.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) compat: Option<Arc<Compat>>,
    /// For what needs no turn on the GPU.
    pub(crate) webui: WebUi,
    pub(crate) allowed: Arc<Allowed>,
    pub(crate) pictures: Option<Arc<Pictures>>,
    pub(crate) checks: Arc<Checks>,
}

impl App {
    /// Waits until the WebUI is ready.
    pub(crate) async fn start(settings: Settings) -> Result<Self, NotReady> {
        let webui = WebUi::new(&settings)?;
        webui.wait_until_ready(&settings).await?;
        let compat = (!settings.no_compat).then(|| Arc::new(Compat::new(webui.clone())));
        if let Some(compat) = compat.clone() {
            // Beside the first take, which must not wait for it.
            tokio::spawn(async move { compat.learn().await });
        }
        let requests = &settings.requests;
        let largest = u64::from(requests.url_input_limit) << 20;
        let pictures = (!requests.no_url_inputs).then(|| Pictures::new(largest));
        Ok(Self {
            renderer: Arc::new(Renderer::new(webui.clone(), &settings)),
            compat,
            checks: Arc::new(Checks::new(webui.clone(), requests.checks)),
            pictures: pictures.map(Arc::new),
            allowed: Arc::new(Allowed::new(&requests.allowed_routes)),
            webui,
        })
    }
}
