//! `Retry-After`: how long a remote asks to be left alone.

use std::time::{Duration, UNIX_EPOCH};

use tollgate_core::time::Timestamp;

/// The longest wait that a remote can impose.
pub(crate) const CAP: Duration = Duration::from_secs(3600);

/// Reads seconds or an HTTP date. Nonsense is no wish at all; more than an hour is an hour.
pub(crate) fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Timestamp::from_micros(0).plus(since_epoch).since(now)
    };
    Some(wait.min(CAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_dates_and_nonsense() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = Timestamp::from_micros(784_111_777_000_000);
        let s = |n| Some(Duration::from_secs(n));
        assert_eq!(parse("120", now), s(120));
        assert_eq!(parse(" 0 ", now), s(0));
        assert_eq!(parse("86400", now), s(3600));
        assert_eq!(parse("99999999999999999999999", now), s(3600));
        assert_eq!(parse("Sun, 06 Nov 1994 08:50:07 GMT", now), s(30));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:00 GMT", now), s(0));
        assert_eq!(parse("Sat, 06 Nov 2094 08:49:00 GMT", now), s(3600));
        for nonsense in ["", "-1", "1.5", "soon", "1h"] {
            assert_eq!(parse(nonsense, now), None, "{nonsense}");
        }
    }
}
