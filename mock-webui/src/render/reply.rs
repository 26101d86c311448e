//! The answer of a generation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::disk;
use super::generation::Generation;
use super::info::{Results, info};
use super::infotext_writer::infotext;
use super::plan::Plan;
use super::rendered::RenderedPictures;
use super::sd_next_info;
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
        let files = rendered
            .encode(server, fields.non_empty("samples_format"))
            .await?;
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
        let parameters = self.echo();
        let mut body = json!({ "images": images, "parameters": parameters });
        body["info"] = Value::from(match &plan.sd_next {
            Some(details) => sd_next_info::info(plan, details, &results),
            None => info(plan, &results),
        });
        Ok(Answer::json(&body))
    }

    /// The answer of SD.Next to a render that failed: 200 without pictures. Its state says "interrupted". Without a model
    /// there is no document either.
    pub(super) fn failed_reply(&self, plan: Option<&Plan>) -> Answer {
        let stamp = self.server.gpu().change(|state| {
            state.interrupted = true;
            state.job_timestamp
        });
        let info = plan.and_then(|plan| {
            let results = Results {
                infotexts: vec![infotext(plan, 0)],
                index_of_first_image: 0,
                job_timestamp: stamp.map_or_else(|| "0".to_owned(), crate::gpu::time_stamp),
            };
            let details = plan.sd_next.as_ref()?;
            Some(sd_next_info::info(plan, details, &results))
        });
        Answer::json(&json!({ "images": [], "parameters": self.echo(), "info": info.unwrap_or_default() }))
    }

    /// The request as the answer repeats it.
    fn echo(&self) -> Map<String, Value> {
        let mut parameters = self.fields.echo();
        if self.mode == Mode::Img2Img && !self.fields.flag("include_init_images") {
            parameters["init_images"] = Value::Null;
            parameters["mask"] = Value::Null;
        }
        parameters
    }
}
