//! "Did you mean …?": the known word that somebody probably had in mind.

/// Longer words are no slip of the finger, and comparing them would take long.
const LONGEST: usize = 64;

/// The candidate that differs least from `word`, if it differs little: in a third of its letters at most.
/// Case and the kind of dash make no difference.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let wanted = plain(word);
    let allowed = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> String {
    word.replace(['-', ' '], "_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const FIELDS: [&str; 4] = ["prompt", "negative_prompt", "steps", "cfg_scale"];

    #[test]
    fn a_slip_finds_its_word() {
        assert_eq!(nearest("promt", FIELDS), Some("prompt"));
        assert_eq!(nearest("setps", FIELDS), Some("steps"));
        assert_eq!(nearest("cfgScale", FIELDS), Some("cfg_scale"));
        assert_eq!(nearest("Negative-Prompt", FIELDS), Some("negative_prompt"));
    }

    #[test]
    fn another_word_finds_none() {
        assert_eq!(nearest("colour", FIELDS), None);
        assert_eq!(nearest("", FIELDS), None);
        assert_eq!(nearest(&"prompt".repeat(1000), FIELDS), None);
    }
}
