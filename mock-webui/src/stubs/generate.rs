//! txt2img and img2img (§3, §4, §6).

use futures_util::FutureExt;

use super::route::{Call, Later, Route};
use crate::gpu::QueuePlace;
use crate::render::{self, Generation};
use crate::request::generation::{IMG2IMG, TXT2IMG};
use crate::request::{Fields, Mode};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post_checked(
            "/sdapi/v1/txt2img",
            || &TXT2IMG,
            true,
            |call| generate(Mode::Txt2Img, call),
        ),
        Route::post_checked(
            "/sdapi/v1/img2img",
            || &IMG2IMG,
            true,
            |call| generate(Mode::Img2Img, call),
        ),
    ]
}

fn generate(mode: Mode, call: Call<(Fields, Option<QueuePlace>)>) -> Later {
    let Call {
        server,
        input: (fields, place),
        faults,
    } = call;
    let place = place.unwrap_or_else(|| server.gpu().take_place());
    render::run(
        Generation {
            server,
            mode,
            fields,
            faults,
        },
        place,
    )
    .boxed()
}
