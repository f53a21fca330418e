-- Version 3: runs of static graphs.

ALTER TABLE runs ADD COLUMN graph BLOB; -- the digest of the graph's spec
-- The node that an action is, and the request that the node made.
ALTER TABLE actions ADD COLUMN node INTEGER;
ALTER TABLE actions ADD COLUMN request BLOB;

-- Where each run stands. `entries` counts its journal: what moves a run names how many there were.
CREATE TABLE graphs (
  run_id BLOB PRIMARY KEY, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  input BLOB NOT NULL, entries INTEGER NOT NULL, progress BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE journal (
  run_id BLOB NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL, step INTEGER, request_hash BLOB NOT NULL, result BLOB,
  semantics_version INTEGER NOT NULL, at INTEGER NOT NULL, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
-- Results that are too large for a journal, by their hash.
CREATE TABLE blobs (
  digest BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, body BLOB NOT NULL, reseller_id BLOB NOT NULL,
  PRIMARY KEY (digest, tenant_id, mode)
);

-- A step is named by what it is of and, in a graph, by its node: from 1, and 0 for every other step. `kind`: 2 a node.
ALTER TABLE ready ADD COLUMN node INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tellings ADD COLUMN node INTEGER NOT NULL DEFAULT 0;
CREATE TABLE held_by_node (
  step BLOB NOT NULL, node INTEGER NOT NULL DEFAULT 0, run_id BLOB NOT NULL, kind INTEGER NOT NULL, fence INTEGER NOT NULL, session BLOB NOT NULL,
  reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  PRIMARY KEY (step, node)
) WITHOUT ROWID;
INSERT INTO held_by_node SELECT step, 0, run_id, kind, fence, session, reseller_id, tenant_id, mode FROM held;
DROP TABLE held;
ALTER TABLE held_by_node RENAME TO held;
CREATE TABLE timers_by_node (
  at INTEGER NOT NULL, step BLOB NOT NULL, node INTEGER NOT NULL DEFAULT 0, run_id BLOB NOT NULL, kind INTEGER NOT NULL, fence INTEGER NOT NULL,
  reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  PRIMARY KEY (at, step, node)
) WITHOUT ROWID;
INSERT INTO timers_by_node SELECT at, step, 0, run_id, 1, fence, reseller_id, tenant_id, mode FROM timers;
DROP TABLE timers;
ALTER TABLE timers_by_node RENAME TO timers;
