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

static CONNECTOR: Record = Record {
    what: "the settings of a connector",
    doc: "Overrides of one connector.",
    fields: &[
        Field::default("config", Shape::JsonMap, "{}", "Values that replace those of the connector's `config`, key by key."),
        Field::optional("test_config", Shape::JsonMap, "Values that replace those of its `test.config`, key by key."),
    ],
};
