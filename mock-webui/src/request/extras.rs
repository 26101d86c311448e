//! The fields of extras, png-info and interrogate (§8).

use std::sync::LazyLock;

use super::coerce::Kind::{self, AtLeast, Files, Flag, OneOf, Text, Within};
use super::field::Field;

const SHARE: Kind = Within {
    low: 0.0,
    high: 1.0,
    above: false,
};
const ANY_SCALE: Kind = Within {
    low: 0.0,
    high: f64::INFINITY,
    above: true,
};
const OLD_SCALE: Kind = Within {
    low: 1.0,
    high: 8.0,
    above: false,
};

/// A table before and after 1.8, which lifted the limits of `upscaling_resize`.
pub(crate) struct Tables {
    pub(crate) old: Vec<Field>,
    pub(crate) new: Vec<Field>,
}

fn shared(scale: Kind) -> Vec<Field> {
    vec![
        Field::new("resize_mode", OneOf(&[0, 1]), "0").not_null(),
        Field::new("show_extras_results", Flag, "true").not_null(),
        Field::new("gfpgan_visibility", SHARE, "0").not_null(),
        Field::new("codeformer_visibility", SHARE, "0").not_null(),
        Field::new("codeformer_weight", SHARE, "0").not_null(),
        Field::new("upscaling_resize", scale, "2").not_null(),
        Field::new("upscaling_resize_w", AtLeast(1), "512").not_null(),
        Field::new("upscaling_resize_h", AtLeast(1), "512").not_null(),
        Field::new("upscaling_crop", Flag, "true").not_null(),
        Field::new("upscaler_1", Text, "\"None\"").not_null(),
        Field::new("upscaler_2", Text, "\"None\"").not_null(),
        Field::new("extras_upscaler_2_visibility", SHARE, "0").not_null(),
        Field::new("upscale_first", Flag, "false").not_null(),
    ]
}

fn with(field: Field) -> Tables {
    let table = |scale| [shared(scale), vec![field]].concat();
    Tables {
        old: table(OLD_SCALE),
        new: table(ANY_SCALE),
    }
}

/// The fields of `POST extra-single-image`.
pub(crate) static SINGLE: LazyLock<Tables> =
    LazyLock::new(|| with(Field::new("image", Text, "\"\"").not_null()));

/// The fields of `POST extra-batch-images`.
pub(crate) static BATCH: LazyLock<Tables> = LazyLock::new(|| with(Field::required("imageList", Files)));

/// The fields of `POST png-info`.
pub(crate) const PNG_INFO: &[Field] = &[Field::required("image", Text)];

/// The fields of `POST interrogate`.
pub(crate) const INTERROGATE: &[Field] = &[
    Field::new("image", Text, "\"\"").not_null(),
    Field::new("model", Text, "\"clip\"").not_null(),
];

/// The fields of the web page's own progress route (§7).
pub(crate) const INTERNAL_PROGRESS: &[Field] = &[
    Field::new("id_task", Text, "null"),
    Field::new("id_live_preview", Kind::Integer, "-1"),
    Field::new("live_preview", Flag, "true"),
];

/// The fields of ControlNet's `POST detect`.
pub(crate) const CONTROLNET_DETECT: &[Field] = &[
    Field::new("controlnet_module", Text, "\"none\"").not_null(),
    Field::new("controlnet_input_images", Kind::List, "[]").not_null(),
    Field::new("controlnet_processor_res", Kind::Integer, "512").not_null(),
    Field::new("controlnet_threshold_a", Kind::Float, "64").not_null(),
    Field::new("controlnet_threshold_b", Kind::Float, "64").not_null(),
];
