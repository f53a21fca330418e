//! What an HTTP client's error means, in words for people: no URL, no type names.

use crate::egress::EgressRefused;

/// Why nothing could be sent, and whether trying again makes sense.
pub(crate) fn not_sent(error: &reqwest::Error) -> (String, bool) {
    if let Some(refused) = EgressRefused::within(error) {
        return (refused.to_string(), false);
    }
    (format!("nothing was sent: {}", words(error)), true)
}

/// The innermost cause: what the operating system or the TLS library says.
pub(crate) fn words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut dns = false;
    while let Some(next) = cause.source() {
        dns |= next.to_string().contains("dns error");
        cause = next;
    }
    let said = cause.to_string();
    let said = match cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionRefused) => "the connection was refused".to_owned(),
        Some(std::io::ErrorKind::ConnectionReset) => "the connection was reset".to_owned(),
        Some(std::io::ErrorKind::BrokenPipe) => "the connection was closed while the request was sent".to_owned(),
        _ if said == "connection closed before message completed" => "the connection was closed before an answer came".to_owned(),
        _ if std::ptr::addr_eq(cause, error as &dyn std::error::Error) && error.is_connect() => {
            "the connection could not be made".to_owned()
        }
        _ => said,
    };
    if dns { format!("the host's name could not be resolved: {said}") } else { said }
}
