//! The pictures of a finished render.

use super::grid;
use crate::answer::Failure;
use crate::file;
use crate::gpu::picture::Picture;
use crate::server::Server;

/// The pictures of a job and their texts, in the order of the answer.
#[derive(Debug, Default)]
pub(super) struct RenderedPictures {
    pub(super) pictures: Vec<Picture>,
    pub(super) texts: Vec<String>,
    /// Without those of grids.
    pub(super) seeds: Vec<i64>,
}

impl RenderedPictures {
    pub(super) fn put_grid_first(&mut self, matrix: bool) {
        let grid = if matrix {
            grid::matrix(&self.pictures)
        } else {
            grid::of(&self.pictures)
        };
        self.pictures.insert(0, grid);
        self.texts.insert(0, self.texts[0].clone());
    }

    /// Puts maps of ControlNet behind the pictures. They have no infotexts.
    pub(super) fn append_maps(&mut self, count: usize) {
        let Some(size) = self.pictures.first().map(|first| (first.width, first.height)) else {
            return;
        };
        let map = Picture::plain(size.0, size.1, [0; 3]);
        self.pictures.extend(std::iter::repeat_n(map, count));
    }

    /// The files, written outside the async threads. `format` wins over the setting.
    pub(super) async fn encode(self, server: &Server, format: Option<&str>) -> Result<Vec<Vec<u8>>, Failure> {
        let (format, with_text) = {
            let settings = server.settings();
            (
                format.unwrap_or(settings.text("samples_format")).to_owned(),
                settings.flag("enable_pnginfo"),
            )
        };
        let encoded = tokio::task::spawn_blocking(move || {
            let texts = self.texts.iter().map(|text| with_text.then_some(text.as_str()));
            let texts = texts.chain(std::iter::repeat(None));
            let pairs = self.pictures.iter().zip(texts);
            pairs
                .map(|(picture, text)| file::encode(picture, &format, text))
                .collect()
        });
        encoded
            .await
            .map_err(|error| Failure::unexpected("RuntimeError", error.to_string()))?
    }
}
