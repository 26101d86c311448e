//! txt2img and img2img (§3, §4, §6).

use futures_util::FutureExt;

use super::route::{Call, Later, Route};
use crate::gpu::Place;
use crate::render::{self, Generation, Source};
use crate::request::Fields;
use crate::request::generation::{IMG2IMG, TXT2IMG};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post_checked(
            "/sdapi/v1/txt2img",
            || &TXT2IMG,
            true,
            |call| generate(Source::Text, call),
        ),
        Route::post_checked(
            "/sdapi/v1/img2img",
            || &IMG2IMG,
            true,
            |call| generate(Source::Picture, call),
        ),
    ]
}

fn generate(source: Source, call: Call<(Fields, Option<Place>)>) -> Later {
    let Call {
        server,
        input: (fields, place),
        trouble,
    } = call;
    let place = place.unwrap_or_else(|| server.gpu().take_place());
    render::run(
        Generation {
            server,
            source,
            fields,
            trouble,
        },
        place,
    )
    .boxed()
}
