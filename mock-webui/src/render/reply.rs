//! The answer of a generation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::disk;
use super::generation::Generation;
use super::info::{Results, info};
use super::plan::Plan;
use super::rendered::RenderedPictures;
use crate::answer::{Answer, Failure};
use crate::request::Mode;

impl Generation {
    /// The answer with the pictures of an rendered.
    pub(super) async fn reply(
        &self,
        plan: &Plan,
        rendered: RenderedPictures,
        index_of_first_image: usize,
        stamp: Option<std::time::SystemTime>,
    ) -> Result<Answer, Failure> {
        let Self {
            server, mode, fields, ..
        } = self;
        let results = Results {
            index_of_first_image,
            job_timestamp: stamp.map_or_else(|| "0".to_owned(), crate::gpu::time_stamp),
            infotexts: rendered.texts.clone(),
        };
        let seeds = rendered.seeds.clone();
        let files = rendered.encode(server).await?;
        if fields.flag("save_images")
            && let Some(directory) = &server.setup().save_to
        {
            let format = server.settings().text("samples_format").to_owned();
            disk::save(directory, *mode, &format, &files, index_of_first_image, &seeds)
                .map_err(|error| Failure::unexpected("OSError", error.to_string()))?;
        }
        let images: Vec<String> = if fields.flag("send_images") {
            files.iter().map(|file| STANDARD.encode(file)).collect()
        } else {
            Vec::new()
        };
        let mut parameters = fields.echo();
        if *mode == Mode::Img2Img && !fields.flag("include_init_images") {
            parameters["init_images"] = Value::Null;
            parameters["mask"] = Value::Null;
        }
        let mut body = json!({ "images": images, "parameters": parameters });
        body["info"] = Value::from(info(plan, &results));
        Ok(Answer::json(&body))
    }
}
