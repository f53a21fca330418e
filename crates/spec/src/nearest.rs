//! The name that a misspelt one was meant to be.

/// The candidate nearest to `word`, when one is near enough to be meant. Case does not count; of two equally near, the first in
/// the order of the alphabet.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let limit = (wanted.chars().count() / 3).max(1);
    let near = candidates.into_iter().map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name));
    near.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// Advice for an unknown word: the nearest, and all that are valid, as far as a line holds them.
pub(crate) fn advice<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const LISTED: usize = 24;
    let mut names: Vec<&str> = candidates.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let near = nearest(word, names.iter().copied());
    let mut list = names.iter().take(LISTED).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        list.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    match (near, names.is_empty()) {
        (_, true) => None,
        (Some(near), _) => Some(format!("did you mean `{near}`? valid are {list}")),
        (None, _) => Some(format!("valid are {list}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        assert_eq!(nearest("tiemout", ["timeout", "url", "method"]), Some("timeout"));
        assert_eq!(nearest("Operator", ["operator"]), Some("operator"));
        assert_eq!(nearest("x", ["y", "xy"]), Some("xy"));
        assert_eq!(nearest("banana", ["timeout", "url"]), None);
        assert_eq!(nearest("a", []), None);
        assert_eq!(advice("ur", ["url", "json"]).unwrap(), "did you mean `url`? valid are `json`, `url`");
    }
}
