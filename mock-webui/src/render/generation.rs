//! A generation that has passed validation.

use super::input_picture::{self, InputPicture};
use crate::answer::Failure;
use crate::faults::ActiveFaults;
use crate::request::{Fields, Mode};
use crate::server::Server;

/// A request on its way through the checks.
pub(crate) struct Generation {
    pub(crate) server: Server,
    pub(crate) mode: Mode,
    pub(crate) fields: Fields,
    pub(crate) faults: ActiveFaults,
}

impl Generation {
    /// The pictures that img2img starts from.
    pub(super) fn pictures(&self) -> Result<Vec<InputPicture>, Failure> {
        if self.mode == Mode::Txt2Img {
            return Ok(Vec::new());
        }
        let given = self.fields.list("init_images");
        if self.server.profile().is_sd_next() {
            // None is fine, null is passed over, and more than needed are, too.
            let pictures = given.iter().filter(|picture| !picture.is_null());
            return pictures
                .map(|picture| input_picture::decode_value(self.server.profile(), picture))
                .collect();
        }
        let pictures = given
            .iter()
            .map(|picture| input_picture::decode_value(self.server.profile(), picture))
            .collect::<Result<Vec<_>, _>>()?;
        let room = self
            .fields
            .integer("batch_size")
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(0);
        match pictures.len() {
            0 if self.server.profile().is_forge() => Err(Failure::unexpected(
                "IndexError",
                "Dimension out of range (expected to be in range of [-1, 0], but got 1)",
            )),
            0 => Err(Failure::unexpected(
                "RuntimeError",
                "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [0]",
            )),
            count if count > 1 && count > room => Err(Failure::unexpected(
                "RuntimeError",
                format!("bad number of images passed: {count}; expecting {room} or less"),
            )),
            _ => Ok(pictures),
        }
    }

    /// Fails as the real server's check of the finished latent does, if a fault says so.
    pub(super) fn check_for_nan(&self, prompts: &[String]) -> Result<(), Failure> {
        let is_hit = |text: &String| prompts.iter().any(|prompt| prompt.contains(text));
        if !self.faults.nan && !self.faults.nan_for.iter().any(is_hit) {
            return Ok(());
        }
        Err(Failure::unexpected(
            "NansException",
            "A tensor with all NaNs was produced in Unet. This could be either because there's not enough precision \
         to represent the picture, or because your video card does not support half type. Try setting the \
         \"Upcast cross attention layer to float32\" option in Settings > Stable Diffusion or using the --no-half \
         commandline argument to fix this. Use --disable-nan-check commandline argument to disable this check.",
        ))
    }
}
