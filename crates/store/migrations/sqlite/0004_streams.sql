-- Changes of state, for whoever follows them: what one group of commands changed in one tenant and mode, in its order. `pos` numbers the
-- last of the row's changes, and is given at commit by the one writer. Ids, states, codes and times, no content.
CREATE TABLE outbox (
  pos INTEGER PRIMARY KEY, changes INTEGER NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL,
  reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL
);
-- The rows that tell of a run: its stream.
CREATE TABLE outbox_runs (run_id BLOB NOT NULL, pos INTEGER NOT NULL, PRIMARY KEY (run_id, pos)) WITHOUT ROWID;
