//! What the settings add to a render.

use crate::catalogue::sampling;
use crate::digest;
use crate::json::float;
use crate::request::Fields;
use crate::server::Server;

/// Values that a request may set and that come from the settings otherwise.
#[derive(Debug, Clone)]
pub(crate) struct FromSettings {
    pub(crate) restore_faces: bool,
    pub(crate) tiling: bool,
    pub(crate) clip_skip: i64,
    /// Name and hash.
    pub(crate) vae: Option<(String, String)>,
    /// Entries of the infotext for settings that are not at their defaults.
    pub(crate) entries: Vec<(&'static str, String)>,
    /// Entries of the infotext that settings turn off.
    pub(crate) hidden: Vec<&'static str>,
}

/// Settings that turn entries of the infotext off.
const SWITCHES: [(&str, &str); 5] = [
    ("add_model_name_to_info", "Model"),
    ("add_model_hash_to_info", "Model hash"),
    ("add_vae_name_to_info", "VAE"),
    ("add_vae_hash_to_info", "VAE hash"),
    ("add_version_to_infotext", "Version"),
];

impl FromSettings {
    pub(super) fn read(server: &Server, fields: &Fields, sampler_name: &str) -> Self {
        let settings = server.settings();
        let mut entries = Vec::new();
        let delta = settings.integer("eta_noise_seed_delta");
        if delta != 0 && sampling::uses_ensd(server.profile(), sampler_name) {
            entries.push(("ENSD", delta.to_string()));
        }
        if let Some(ratio) = settings
            .get("token_merging_ratio")
            .as_f64()
            .filter(|ratio| *ratio != 0.0)
        {
            entries.push(("Token merging ratio", float(ratio)));
        }
        if settings.text("randn_source") != "GPU" {
            entries.push(("RNG", settings.text("randn_source").to_owned()));
        }
        let flag = |field: &str, key: &str| fields.get(field).as_bool().unwrap_or(settings.flag(key));
        Self {
            restore_faces: flag("restore_faces", "face_restoration"),
            tiling: flag("tiling", "tiling"),
            clip_skip: settings.integer("CLIP_stop_at_last_layers"),
            vae: vae(settings.text("sd_vae")),
            entries,
            hidden: SWITCHES
                .into_iter()
                .filter(|(key, _)| !settings.flag(key))
                .map(|(_, entry)| entry)
                .collect(),
        }
    }
}

/// A VAE chosen in the settings, with a made-up hash that depends on its name.
fn vae(name: &str) -> Option<(String, String)> {
    if matches!(name, "" | "Automatic" | "None") {
        return None;
    }
    Some((name.to_owned(), format!("{:010x}", digest::of(&name) >> 24)))
}
