//! The tables of the Postgres schema as its catalog has them, and rows for any of them.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::base::rows;

/// A column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: String,
    pub kind: String,
    pub not_null: bool,
    /// The database gives its value.
    pub given: bool,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    pub name: String,
    /// What it is a part of.
    pub part_of: Option<String>,
    /// Row security is on, also for its owner.
    pub secured: bool,
    pub columns: Vec<Column>,
}

impl Table {
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|c| c.name == column)
    }

    /// The name of the whole table.
    pub fn whole(&self) -> &str {
        self.part_of.as_deref().unwrap_or(&self.name)
    }

    /// A statement that puts `n` rows of one tenant and mode into it. `seed` keeps the rows of several statements apart.
    pub fn fill(&self, tenant: &str, mode: u8, seed: u64, n: u64) -> String {
        let columns: Vec<_> = self.columns.iter().filter(|c| !c.given).collect();
        let names: Vec<_> = columns.iter().map(|c| format!("\"{}\"", c.name)).collect();
        let values: Vec<_> = columns.iter().map(|c| value(&self.name, c, tenant, mode, seed)).collect();
        format!("INSERT INTO {} ({}) SELECT {} FROM generate_series(1, {n}) AS i", self.name, names.join(", "), values.join(", "))
    }
}

fn value(table: &str, c: &Column, tenant: &str, mode: u8, seed: u64) -> String {
    let name = &c.name;
    match (name.as_str(), c.kind.as_str()) {
        ("tenant_id", "uuid") => format!("'{tenant}'::uuid"),
        ("mode", "smallint") => format!("{mode}::smallint"),
        (_, "uuid") => format!("md5('{table}.{name}.{seed}.' || i)::uuid"),
        (_, "bytea") => format!("sha256(convert_to('{table}.{name}.{seed}.' || i, 'UTF8'))"),
        (_, "text") => format!("'{name}.{seed}.' || i"),
        (_, "bigint") => format!("{seed} * 10000000 + i"),
        (_, "smallint") => "(i % 3)::smallint".to_owned(),
        (_, "integer") => "i::int".to_owned(),
        (_, "boolean") => "i % 2 = 0".to_owned(),
        (_, "jsonb") => "'{}'::jsonb".to_owned(),
        (_, kind) if kind.ends_with("[]") => format!("'{{}}'::{kind}"),
        (_, kind) => panic!("say how a row of `{table}` is made: `{name}` is a {kind}"),
    }
}

/// Every table that there is, and nothing else that rows could be read from.
pub async fn tables(client: &Client) -> Vec<Table> {
    let sql =
        "SELECT c.relname, c.relkind, COALESCE(i.inhparent::regclass::text, ''), c.relrowsecurity AND c.relforcerowsecurity, a.attname,
           format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity <> '' OR a.attgenerated <> ''
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
         WHERE c.relnamespace = 'tollgate'::regnamespace AND c.relkind NOT IN ('i', 'I', 'S', 't', 'c') ORDER BY c.relname, a.attnum";
    let mut out: BTreeMap<String, Table> = BTreeMap::new();
    for r in rows(client, sql).await {
        assert!(["r", "p"].contains(&r[1].as_str()), "`{}` is no plain table: what would row security be to it?", r[0]);
        let part_of = (!r[2].is_empty()).then(|| r[2].rsplit('.').next().unwrap().to_owned());
        let table = Table { name: r[0].clone(), part_of, secured: r[3] == "t", columns: Vec::new() };
        let column = Column { name: r[4].clone(), kind: r[5].clone(), not_null: r[6] == "t", given: r[7] == "t" };
        out.entry(r[0].clone()).or_insert(table).columns.push(column);
    }
    assert!(out.len() > 20, "the catalog was not read: {out:?}");
    out.into_values().collect()
}
