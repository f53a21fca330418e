//! JSON that users give on the command line or through a pipe.

use std::io::Read;

use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Failure;

/// The most that is read from a pipe, in bytes.
const INPUT_MAX: u64 = 16 << 20;

/// The value of an option: JSON, or `-` for standard input.
///
/// # Errors
/// When it is not JSON.
pub fn json_argument(option: &str, text: &str) -> Result<Value, Failure> {
    let mut piped = String::new();
    let text = if text == "-" {
        std::io::stdin().lock().take(INPUT_MAX).read_to_string(&mut piped)?;
        &piped
    } else {
        text
    };
    serde_json::from_str(text)
        .map_err(|e| Failure::new(Exit::Usage, format!("{option} is not JSON: {e} (quote it for the shell; `-` reads standard input)")))
}
