//! The fields of SD.Next's txt2img and img2img (§12).
//!
//! The files hold one field a line, with its default, in the order of the echo of the real server. A field's type is
//! that of its default. Types of fields whose default is null are listed here, as far as the mock reads them.

use std::sync::LazyLock;

use super::coerce::Kind;
use super::field::Field;

/// The fields of `POST txt2img`.
pub(crate) static TXT2IMG: LazyLock<Vec<Field>> =
    LazyLock::new(|| table(include_str!("../../data/sd-next/txt2img.json")));

/// The fields of `POST img2img`.
pub(crate) static IMG2IMG: LazyLock<Vec<Field>> =
    LazyLock::new(|| table(include_str!("../../data/sd-next/img2img.json")));

/// Types of fields whose default is null. The others take anything.
const NULL_BY_DEFAULT: [(&str, Kind); 9] = [
    ("styles", Kind::Texts),
    ("eta", Kind::Float),
    ("init_images", Kind::List),
    ("mask", Kind::Text),
    ("latent_mask", Kind::Text),
    ("override_settings", Kind::Object),
    ("hr_upscaler", Kind::Text),
    ("samples_format", Kind::Text),
    ("initial_noise_multiplier", Kind::Float),
];

fn table(file: &'static str) -> Vec<Field> {
    let entries = file.lines().filter_map(|line| line.trim().split_once("\": "));
    entries
        .map(|(name, default)| {
            let (name, default) = (name.trim_start_matches('"'), default.trim_end_matches(','));
            Field::new(name, kind(name, default), default)
        })
        .collect()
}

fn kind(name: &str, default: &str) -> Kind {
    match default.as_bytes().first() {
        Some(b'"') => Kind::Text,
        Some(b'[') => Kind::List,
        Some(b'{') => Kind::Object,
        Some(b't' | b'f') => Kind::Flag,
        Some(b'n') => NULL_BY_DEFAULT
            .iter()
            .find(|(field, _)| *field == name)
            .map_or(Kind::Any, |(_, kind)| *kind),
        _ if default.contains('.') => Kind::Float,
        // A whole number as the default of a share or a strength stands for a float.
        _ if ["_strength", "_start", "_stop", "cfg_end", "scale_by", "hdr_"]
            .iter()
            .any(|part| name.contains(part)) =>
        {
            Kind::Float
        }
        _ => Kind::Integer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_the_fields_of_the_recorded_echo() {
        assert_eq!(TXT2IMG.len(), 238);
        assert_eq!(IMG2IMG.len(), 239);
        let kind = |name: &str| {
            TXT2IMG
                .iter()
                .find(|field| field.name == name)
                .map(|field| field.kind)
        };
        assert_eq!(kind("steps"), Some(Kind::Integer));
        assert_eq!(kind("cfg_scale"), Some(Kind::Float));
        assert_eq!(kind("prompt"), Some(Kind::Text));
        assert_eq!(kind("tiling"), Some(Kind::Flag));
        assert_eq!(kind("network_data"), Some(Kind::Any));
    }
}
