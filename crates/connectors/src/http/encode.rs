//! Percent-encoding: what makes a value one path segment or one query value, whatever it holds.

/// Encodes everything but the unreserved characters of RFC 3986, so that no value can end a segment, begin a query,
/// a fragment or a line, or hide a second encoding.
pub(crate) fn component(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// Whether a path segment means "here" or "up" to URL parsers, which read `%2e` as a dot.
pub(crate) fn is_dot_segment(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    plain == "." || plain == ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reserved_survives() {
        assert_eq!(component("a/b?c#d%2e\r\n &=+é\0"), "a%2Fb%3Fc%23d%252e%0D%0A%20%26%3D%2B%C3%A9%00");
        assert_eq!(component("A-z_0.9~"), "A-z_0.9~");
    }

    #[test]
    fn dot_segments_are_known_in_all_spellings() {
        for dots in [".", "..", "%2e", "%2E.", ".%2e", "%2e%2E"] {
            assert!(is_dot_segment(dots), "{dots}");
        }
        for plain in ["...", "a.", "..a", "", "%252e"] {
            assert!(!is_dot_segment(plain), "{plain}");
        }
    }
}
