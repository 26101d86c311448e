//! "Did you mean …?": the known name that is most similar to a given one.

/// A name counts as misspelt if at most this part of its letters differs: one in three.
const LETTERS_PER_MISTAKE: usize = 3;

/// The most similar of `names`, if at most a third of the letters of `name` differ. Case and separators make no
/// difference.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-'], " ");
    let (whole, stem) = (plain(name), plain(without_ending(name)));
    let most = stem.chars().count() / LETTERS_PER_MISTAKE;
    names
        .into_iter()
        .map(|known| {
            let mistakes = strsim::osa_distance(&stem, &plain(without_ending(known)));
            // Among names that differ in their endings alone, the one that is written alike.
            let in_all = strsim::osa_distance(&whole, &plain(known));
            ((mistakes, in_all), known)
        })
        .filter(|((mistakes, _), _)| *mistakes <= most)
        .max_by(|(a, _), (b, _)| b.cmp(a))
        .map(|(_, known)| known.to_owned())
}

/// A model's name without the hash and the ending of its file, which many leave away.
fn without_ending(name: &str) -> &str {
    let name = name.split_once(" [").map_or(name, |(name, _)| name);
    let stem = |ending| name.strip_suffix(ending).filter(|stem| !stem.is_empty());
    [".safetensors", ".ckpt", ".pth", ".pt", ".bin"]
        .into_iter()
        .find_map(stem)
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_only_if_it_is_near() {
        let known = ["Euler a", "Euler", "DPM++ 2M", "DPM++ 2M SDE"];
        assert_eq!(nearest("euler_a", known).as_deref(), Some("Euler a"));
        assert_eq!(nearest("dpm++2m", known).as_deref(), Some("DPM++ 2M"));
        assert_eq!(nearest("Eulr", known).as_deref(), Some("Euler"));
        assert_eq!(nearest("qqq", known), None);
        let files = ["clear.safetensors", "sd/other.ckpt [0123456789]"];
        assert_eq!(nearest("clear", files).as_deref(), Some(files[0]));
        assert_eq!(nearest("sd/othr.safetensors", files).as_deref(), Some(files[1]));
    }

    #[test]
    fn more_than_a_third_of_the_letters_is_another_name() {
        assert_eq!(nearest("id", ["width", "ida"]), None);
        assert_eq!(nearest("abcdef", ["abcdXY"]).as_deref(), Some("abcdXY"));
        assert_eq!(nearest("abcde", ["abcXY"]), None);
        assert_eq!(nearest("animagine", ["anime"]), None);
    }
}
