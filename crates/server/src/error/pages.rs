//! The compiled-in page of every code, as HTML or plain text.

use std::fmt::Write as _;

use super::Code;

const STYLE: &str = "<style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1.25rem}\
h1{font-size:1.5rem;margin-bottom:.25rem}h2{font-size:1rem;margin:1.75rem 0 .25rem}code{font:.95em ui-monospace,monospace}\
.status{opacity:.65;margin:0}a{color:inherit}table{border-collapse:collapse;width:100%}td{padding:.35rem .75rem .35rem 0;vertical-align:top;\
border-top:1px solid color-mix(in srgb,currentColor 18%,transparent)}</style>";

/// The page of one code.
pub(crate) fn page(code: Code, html: bool) -> String {
    let (word, status) = (code.as_str(), code.status());
    if html {
        let body = format!(
            "<h1><code>{word}</code></h1><p class=\"status\">HTTP {status}</p><h2>What it means</h2><p>{}</p><h2>What to do</h2><p>{}</p>\
             <p><a href=\"/errors\">All error codes</a></p>",
            marked(code.means()),
            marked(code.to_do()),
        );
        document(word, &body)
    } else {
        format!("{word} (HTTP {status})\n\nWhat it means\n{}\n\nWhat to do\n{}\n", code.means(), code.to_do())
    }
}

/// The list of all codes.
pub(crate) fn index_page(html: bool) -> String {
    let mut out = String::new();
    for code in Code::ALL {
        let (word, status) = (code.as_str(), code.status().as_u16());
        // Writing into a string cannot fail.
        let _ = if html {
            write!(
                out,
                "<tr><td><a href=\"/errors/{word}\"><code>{word}</code></a></td><td>{status}</td><td>{}</td></tr>",
                marked(code.means())
            )
        } else {
            writeln!(out, "{word:<24}{status}  {}", code.means())
        };
    }
    if html { document("Error codes", &format!("<h1>Error codes</h1><table>{out}</table>")) } else { out }
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title} - Tollgate</title>{STYLE}{body}</html>\n"
    )
}

/// Text of this module as HTML: words in backticks become code.
fn marked(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    escaped.split('`').enumerate().map(|(i, part)| if i % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}
