//! txt2img and img2img (§3, §4, §6).

use futures_util::FutureExt;

use super::route::{Call, Later, Route};
use crate::gpu::QueuePlace;
use crate::profile::Profile;
use crate::render::{self, Generation};
use crate::request::{Field, Fields, Mode};
use crate::request::{generation, sd_next};

type Table = fn() -> &'static [Field];

pub(crate) fn routes(profile: Profile) -> Vec<Route> {
    let (txt2img, img2img): (Table, Table) = if profile.is_sd_next() {
        (|| &sd_next::TXT2IMG, || &sd_next::IMG2IMG)
    } else {
        (|| &generation::TXT2IMG, || &generation::IMG2IMG)
    };
    vec![
        Route::post_checked("/sdapi/v1/txt2img", txt2img, true, |call| {
            generate(Mode::Txt2Img, call)
        }),
        Route::post_checked("/sdapi/v1/img2img", img2img, true, |call| {
            generate(Mode::Img2Img, call)
        }),
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
