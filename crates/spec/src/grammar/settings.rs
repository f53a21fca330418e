//! The fields of `tollgate.toml`.

use super::shape::{Field, Keys, Record, Shape};

/// The whole file.
pub(crate) static SETTINGS: Record = Record {
    what: "tollgate.toml",
    doc: "The settings of a project.",
    fields: &[
        Field::default("project", Shape::Record(&PROJECT), "{}", "The project itself."),
        Field::default("server", Shape::Record(&SERVER), "{}", "How it listens."),
        Field::default("data", Shape::Record(&DATA), "{}", "Where it keeps what it knows."),
        Field::default("retention", Shape::Record(&RETENTION), "{}", "How long it keeps things; for ever what has no age."),
        Field::default("limits", Shape::Record(&LIMITS), "{}", "Limits of the whole project."),
        Field::default(
            "bindings",
            Shape::Map { keys: Keys::Dotted, of: &Shape::Filled },
            "{}",
            "Capabilities, and the tool that plays each: `\"orders.hold\" = \"shop.hold_order\"`.",
        ),
        Field::default(
            "connectors",
            Shape::Map { keys: Keys::Any, of: &Shape::Record(&CONNECTOR) },
            "{}",
            "Overrides of connectors, by name.",
        ),
    ],
};

static LIMITS: Record = Record {
    what: "`[limits]`",
    doc: "Limits of the whole project.",
    fields: &[Field::optional(
        "concurrency",
        Shape::Whole { min: 1, max: 100_000 },
        "Steps under way at once, over all workers; no limit when left out.",
    )],
};

static PROJECT: Record = Record {
    what: "`[project]`",
    doc: "The project itself.",
    fields: &[Field::optional("name", Shape::Filled, "Its name for people; that of the folder when left out.")],
};

static SERVER: Record = Record {
    what: "`[server]`",
    doc: "How it listens.",
    fields: &[Field::optional("listen", Shape::Filled, "Address and port, such as `127.0.0.1:3001`.")],
};

static DATA: Record = Record {
    what: "`[data]`",
    doc: "Where it keeps what it knows.",
    fields: &[Field::default(
        "dir",
        Shape::Filled,
        "\".tollgate\"",
        "The folder of database and keys. A relative path starts at the project.",
    )],
};

static RETENTION: Record = Record {
    what: "`[retention]`",
    doc: "How long things are kept. What has no age stays for ever.",
    fields: &[
        Field::optional("events", Shape::Span, "Events, such as `30d`, unless something open needs them."),
        Field::optional("runs", Shape::Span, "Runs that ended, with their actions and approval requests."),
        Field::optional("ledger", Shape::Span, "Ledger entries; they are archived before they go."),
        Field::optional("archive", Shape::Filled, "The folder of archived entries. A relative path starts at the project."),
        Field::default("every", Shape::Span, "\"1h\"", "How often the running process looks."),
    ],
};

static CONNECTOR: Record = Record {
    what: "the settings of a connector",
    doc: "Overrides of one connector.",
    fields: &[
        Field::default("config", Shape::JsonMap, "{}", "Values that replace those of the connector's `config`, key by key."),
        Field::optional("test_config", Shape::JsonMap, "Values that replace those of its `test.config`, key by key."),
    ],
};
