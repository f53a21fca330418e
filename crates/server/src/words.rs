//! What a JSON reader says, in words for people who write requests. Values are never repeated: they may be long, or secret.

/// The message of a reader, reworded. `at`: where it stands, if anywhere, such as `value.unit`.
pub(crate) fn reworded(message: &str, at: Option<&str>) -> String {
    let place = |field: &str| at.map_or_else(|| format!("`{field}`"), |p| format!("`{p}.{field}`"));
    let quoted = |rest: &str| rest.split('`').nth(1).unwrap_or_default().to_owned();
    if let Some(rest) = message.strip_prefix("missing field ") {
        return format!("{} is missing", place(&quoted(rest)));
    }
    if let Some(rest) = message.strip_prefix("duplicate field ") {
        return format!("{} is given twice", place(&quoted(rest)));
    }
    let said = match message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("{} was found instead of {expected}", kind(found)),
        None => message.to_owned(),
    };
    at.map_or_else(|| said.clone(), |p| format!("`{p}`: {said}"))
}

/// The JSON type that a reader found.
fn kind(found: &str) -> &'static str {
    match found.split([' ', '`']).next().unwrap_or_default() {
        "sequence" => "a list",
        "map" => "an object",
        "string" => "text",
        "boolean" => "a boolean",
        "null" | "unit" => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_speak_plainly() {
        for (said, at, want) in [
            ("missing field `tool`", None, "`tool` is missing"),
            ("missing field `unit`", Some("value"), "`value.unit` is missing"),
            ("duplicate field `tool`", None, "`tool` is given twice"),
            ("invalid type: string \"x, expected y\", expected u32", Some("n"), "`n`: text was found instead of u32"),
            ("invalid type: sequence, expected an object", None, "a list was found instead of an object"),
            ("invalid type: integer `5`, expected a string", Some("tool"), "`tool`: a number was found instead of a string"),
            ("`1.5` is not whole", Some("n"), "`n`: `1.5` is not whole"),
        ] {
            assert_eq!(reworded(said, at), want);
        }
    }
}
