//! "Did you mean …?": the known word that is spelled most like an unknown one.

/// Longer words are no slip of the finger, and comparing them would take long.
const LONGEST: usize = 64;

/// The candidate that differs least from `word`, if it differs little: in a third of its letters at most.
/// Case and the kind of dash make no difference.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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

/// The `most` candidates that differ least from `word`, the nearest first, however much they differ.
pub fn ranked(word: &str, candidates: impl IntoIterator<Item = String>, most: usize) -> Vec<String> {
    let wanted = plain(word);
    let mut ranked: Vec<(usize, String)> = candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&wanted, &plain(&candidate)),
                candidate,
            )
        })
        .collect();
    ranked.sort();
    ranked
        .into_iter()
        .take(most)
        .map(|(_, candidate)| candidate)
        .collect()
}

fn plain(word: &str) -> String {
    word.replace(['-', ' '], "_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{nearest, ranked};

    const FIELDS: [&str; 4] = ["prompt", "negative_prompt", "steps", "cfg_scale"];

    #[test]
    fn a_slip_finds_its_word() {
        assert_eq!(nearest("promt", FIELDS), Some("prompt"));
        assert_eq!(nearest("setps", FIELDS), Some("steps"));
        assert_eq!(nearest("cfgScale", FIELDS), Some("cfg_scale"));
        assert_eq!(nearest("Negative-Prompt", FIELDS), Some("negative_prompt"));
    }

    #[test]
    fn a_list_is_ranked_by_likeness() {
        let fields = FIELDS.map(str::to_owned);
        assert_eq!(ranked("promts", fields, 2), ["prompt", "steps"]);
    }

    #[test]
    fn another_word_finds_none() {
        assert_eq!(nearest("colour", FIELDS), None);
        assert_eq!(nearest("", FIELDS), None);
        assert_eq!(nearest(&"prompt".repeat(1000), FIELDS), None);
    }
}
