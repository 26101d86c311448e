//! "Did you mean …?": the known name that is most similar to a given one.

/// Names less similar than this are not suggested: Jaro-Winkler, from 0 to 1.
const LEAST_SIMILARITY: f64 = 0.75;

/// The most similar of `names`, if one is similar enough to have been meant. Case and underscores make no difference.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let plain = |name: &str| name.to_lowercase().replace('_', " ");
    let name = plain(name);
    names
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&name, &plain(known)), known))
        .filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_only_if_it_is_near() {
        let known = ["Euler a", "Euler", "DPM++ 2M", "DPM++ 2M SDE"];
        assert_eq!(nearest("euler_a", known).as_deref(), Some("Euler a"));
        assert_eq!(nearest("dpm++2m", known).as_deref(), Some("DPM++ 2M"));
        assert_eq!(nearest("qqq", known), None);
    }
}
