//! Request paths: what users type stays one segment or one value, whatever is in it.

use std::fmt::Write;

/// A text as one segment of a path, or one value of a query.
pub fn part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && text != "." && text != "..") {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A path with those parameters that are given.
pub fn query(path: &str, params: &[(&str, Option<String>)]) -> String {
    let given: Vec<String> = params.iter().filter_map(|(name, value)| Some(format!("{name}={}", part(value.as_deref()?)))).collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        assert_eq!(part("run_01h"), "run_01h");
        assert_eq!(part("a/b?c&d=é %"), "a%2Fb%3Fc%26d%3D%C3%A9%20%25");
        assert_eq!((part("."), part(".."), part("a.b")), ("%2E".to_owned(), "%2E%2E".to_owned(), "a.b".to_owned()));
        assert_eq!(query("/x", &[("a", None), ("b", Some("1&c=2".to_owned()))]), "/x?b=1%26c%3D2");
        assert_eq!(query("/x", &[("a", None)]), "/x");
    }
}
