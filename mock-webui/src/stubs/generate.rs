//! txt2img and img2img (§3, §4, §6).

use futures_util::FutureExt;

use super::route::Route;
use crate::render::{self, Source};
use crate::request::generation::{IMG2IMG, TXT2IMG};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post_checked(
            "/sdapi/v1/txt2img",
            || &TXT2IMG,
            true,
            |server, fields, place| {
                let place = place.expect("queued routes hold a place");
                render::run(server, Source::Text, fields, place).boxed()
            },
        ),
        Route::post_checked(
            "/sdapi/v1/img2img",
            || &IMG2IMG,
            true,
            |server, fields, place| {
                let place = place.expect("queued routes hold a place");
                render::run(server, Source::Picture, fields, place).boxed()
            },
        ),
    ]
}
