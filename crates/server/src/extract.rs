//! Extractors with our own refusals: query, path, body. Knows no routes.

/// The known word that another looks like a misspelling of.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given: String = given.to_lowercase().chars().filter(|c| c.is_alphanumeric()).take(64).collect();
    if given.is_empty() {
        return None;
    }
    let score = |word: &'a str| {
        let plain: String = word.chars().filter(|c| c.is_alphanumeric()).collect();
        (strsim::damerau_levenshtein(&given, &plain), word)
    };
    let (distance, word) = known.map(score).min_by_key(|(d, _)| *d)?;
    // One slip in a short word, two in a longer one.
    let allowed = match given.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    (distance <= allowed).then_some(word)
}
