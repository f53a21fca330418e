//! Statements through `psql`, and the addresses and names that go with them.

use std::path::Path;

use crate::account::clean_command;
use crate::error::SqlError;

/// Postgres cuts longer names short.
const LONGEST_NAME: usize = 63;

/// Runs statements, stopping at the first that fails; gives the rows, columns parted by `|`.
pub(crate) fn run(psql: Option<&Path>, url: &str, sql: &str) -> Result<String, SqlError> {
    let mut command = clean_command(psql.ok_or(SqlError::NoPsql)?);
    // Arguments can be read by everybody on the machine.
    let (open, password) = without_password(url);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    command.env("PGCONNECT_TIMEOUT", "30").args(["-X", "-q", "-w", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &open, "-c", sql]);
    let out = command.output()?;
    if !out.status.success() {
        return Err(SqlError::Refused(String::from_utf8_lossy(&out.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned())
}

/// A new, empty database: UTF-8, compared by bytes, whatever the server's default is.
pub(crate) fn create(name: &str) -> Result<String, SqlError> {
    Ok(format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'", quoted(name)?))
}

/// Away with it, whoever is connected.
pub(crate) fn drop(name: &str) -> Result<String, SqlError> {
    Ok(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name)?))
}

fn quoted(name: &str) -> Result<String, SqlError> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains('\0') {
        return Err(SqlError::Name(name.to_owned()));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// The same server's address with another database.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (rest, parameters) = url.split_once('?').map_or((url, None), |(rest, p)| (rest, Some(p)));
    let authority = rest.find("://").map_or(0, |i| i + "://".len());
    let end = rest.get(authority..).and_then(|r| r.find('/')).map_or(rest.len(), |i| authority + i);
    let parameters = parameters.map(|p| format!("?{p}")).unwrap_or_default();
    format!("{}/{}{parameters}", rest.get(..end).unwrap_or(rest), encoded(database))
}

fn encoded(text: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    text.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn without_password(url: &str) -> (String, Option<String>) {
    let whole = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else { return whole() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some((user, host)) = rest.split_at_checked(end).and_then(|(authority, _)| authority.rsplit_once('@')) else { return whole() };
    let Some((user, password)) = user.split_once(':') else { return whole() };
    let tail = rest.get(end..).unwrap_or_default();
    (format!("{scheme}://{user}@{host}{tail}"), Some(decoded(password)))
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.extend_from_slice(before.as_bytes());
        let byte = after.get(..2).and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(byte.unwrap_or(b'%'));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    #[test]
    fn an_address_takes_another_database_and_keeps_its_parameters() {
        for (url, expected) in [
            ("postgres://u:p@h:1/postgres", "postgres://u:p@h:1/a%20b"),
            ("postgres://u:p@h:1", "postgres://u:p@h:1/a%20b"),
            ("postgres://u@h/x?sslmode=disable&host=/s", "postgres://u@h/a%20b?sslmode=disable&host=/s"),
        ] {
            assert_eq!(with_database(url, "a b"), expected);
        }
    }

    #[test]
    fn the_password_is_taken_out_and_decoded() {
        assert_eq!(without_password("postgres://u:a%40%25b@h:1/d?x=y"), ("postgres://u@h:1/d?x=y".into(), Some("a@%b".into())));
        assert_eq!(without_password("postgres://u@h/d"), ("postgres://u@h/d".into(), None));
        assert_eq!(without_password("postgres://h/d@e:f"), ("postgres://h/d@e:f".into(), None));
        assert_eq!(without_password("dbname=x"), ("dbname=x".into(), None));
    }

    #[test]
    fn names_are_quoted_and_never_cut_short() {
        assert!(create("a\"; b").unwrap().starts_with("CREATE DATABASE \"a\"\"; b\" "));
        assert!(create(&"x".repeat(63)).is_ok());
        for name in [String::new(), "x".repeat(64), "a\0b".into()] {
            assert!(matches!(create(&name), Err(SqlError::Name(_))), "{name}");
        }
    }
}
