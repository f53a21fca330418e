//! What a plain scalar means: the core schema of YAML 1.2, where only `true` and `false` are booleans. Must not know where it stands.

use serde_json::Number;

use crate::node::Data;

/// Integers from here on are not exact as decimals (2^53).
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value, or what is wrong with it.
pub(crate) fn resolve(text: &str) -> Result<Data, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Data::Null),
        "true" | "True" | "TRUE" => return Ok(Data::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Data::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("`{text}` is not a number that JSON can hold"));
    }
    if let Some((digits, radix)) = prefixed(text) {
        return integer(i64::from_str_radix(digits, radix).ok(), text);
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return Err(format!("the number `{text}` begins with a zero: quote it to keep it, or remove the zero"));
        }
        return integer(text.parse().ok(), text);
    }
    if is_decimal(unsigned) { decimal(text) } else { Ok(Data::Text(text.to_owned())) }
}

fn prefixed(text: &str) -> Option<(&str, u32)> {
    let (rest, radix) = text.strip_prefix("0x").map(|r| (r, 16)).or_else(|| text.strip_prefix("0o").map(|r| (r, 8)))?;
    (!rest.is_empty() && rest.chars().all(|c| c.is_digit(radix))).then_some((rest, radix))
}

pub(crate) fn integer(value: Option<i64>, text: &str) -> Result<Data, String> {
    value
        .map(|n| Data::Number(Number::from(n)))
        .ok_or_else(|| format!("the number `{text}` does not fit 64 bits: quote it, so that it travels as text"))
}

/// A number with a point or an exponent.
pub(crate) fn decimal(text: &str) -> Result<Data, String> {
    let value: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if value.fract() == 0.0 && value.abs() >= EXACT {
        return Err(format!("the number `{text}` is beyond what a decimal holds exactly: write an integer, or quote it"));
    }
    Number::from_f64(value).map(Data::Number).ok_or_else(|| format!("the number `{text}` is too large"))
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, the sign already taken off.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
    let mantissa = match mantissa.split_once('.') {
        Some((whole, part)) => (digits(whole) && (part.is_empty() || digits(part))) || (whole.is_empty() && digits(part)),
        None => digits(mantissa),
    };
    mantissa && exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_words_and_numbers_are_numbers() {
        for word in
            ["yes", "no", "on", "off", "y", "n", "1.2.3", "12:30:45", "2026-01-31", "0b1", "1_000", "e5", ".", "-", "+", "1e", "0x", "tRue"]
        {
            assert_eq!(resolve(word), Ok(Data::Text(word.to_owned())), "{word}");
        }
        for (text, want) in [("0", 0), ("-7", -7), ("+7", 7), ("0x1F", 31), ("0o17", 15), ("9223372036854775807", i64::MAX)] {
            assert_eq!(resolve(text), Ok(Data::Number(want.into())), "{text}");
        }
        for (text, want) in [("1.5", 1.5), ("-.5", -0.5), ("1e3", 1000.0), ("2.", 2.0), ("9007199254740991.0", 9_007_199_254_740_991.0)] {
            assert_eq!(resolve(text), Ok(Data::Number(Number::from_f64(want).unwrap())), "{text}");
        }
        for bad in
            [".inf", "-.INF", ".nan", "007", "9223372036854775808", "9007199254740992.0", "1e300", "-1e16", "0xFFFFFFFFFFFFFFFFF", "1e999"]
        {
            assert!(resolve(bad).is_err(), "{bad}");
        }
        assert_eq!(resolve("~"), Ok(Data::Null));
        assert_eq!(resolve("True"), Ok(Data::Bool(true)));
    }
}
