//! What is wrong with a connector, as people who write specs read it. Knows nothing of transports.

use std::fmt;

/// A fault found when connectors are compiled. The whole list is reported at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectorFault {
    /// The connector.
    pub connector: String,
    /// The full name of the tool, when the fault lies in one.
    pub tool: Option<String>,
    /// The field, such as `request.url` or `webhook.event_type`.
    pub place: String,
    /// Line inside the field's text, from 1.
    pub line: u32,
    /// Column inside the field's text, from 1.
    pub column: u32,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for ConnectorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.tool.as_deref().unwrap_or(&self.connector);
        write!(f, "{owner}: {}:{}:{}: {}", self.place, self.line, self.column, self.message)
    }
}

impl std::error::Error for ConnectorFault {}

/// A fault before it is known whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub place: String,
    pub line: u32,
    pub column: u32,
    pub message: String,
}

impl Fault {
    /// A fault of a whole field.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), line: 1, column: 1, message: message.into() }
    }

    /// Says whose it is.
    pub fn of(self, connector: &str, tool: Option<&str>) -> ConnectorFault {
        ConnectorFault {
            connector: connector.to_owned(),
            tool: tool.map(str::to_owned),
            place: self.place,
            line: self.line,
            column: self.column,
            message: self.message,
        }
    }
}
