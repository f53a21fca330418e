-- Version 3: runs of static graphs.

ALTER TABLE runs ADD COLUMN graph bytea; -- the digest of the graph's spec
-- The node that an action is, and the request that the node made.
ALTER TABLE actions ADD COLUMN node bigint;
ALTER TABLE actions ADD COLUMN request bytea;

-- Where each run stands. `entries` counts its journal: what moves a run names how many there were.
CREATE TABLE graphs (
  run_id uuid PRIMARY KEY, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  input bytea NOT NULL, entries bigint NOT NULL, progress bytea NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE journal (
  run_id uuid NOT NULL, seq bigint NOT NULL, kind smallint NOT NULL, step bigint, request_hash bytea NOT NULL, result bytea,
  semantics_version bigint NOT NULL, at bigint NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (run_id, seq)
) PARTITION BY RANGE (run_id);
CREATE TABLE journal_rest PARTITION OF journal DEFAULT;
-- Results that are too large for a journal, by their hash.
CREATE TABLE blobs (
  digest bytea NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL, body bytea NOT NULL, reseller_id uuid NOT NULL,
  PRIMARY KEY (digest, tenant_id, mode)
);

-- A step is named by what it is of and, in a graph, by its node: from 1, and 0 for every other step. `kind`: 2 a node.
ALTER TABLE ready ADD COLUMN node bigint NOT NULL DEFAULT 0;
ALTER TABLE tellings ADD COLUMN node bigint NOT NULL DEFAULT 0;
ALTER TABLE held ADD COLUMN node bigint NOT NULL DEFAULT 0;
ALTER TABLE held DROP CONSTRAINT held_pkey;
ALTER TABLE held ADD PRIMARY KEY (step, node);
ALTER TABLE timers ADD COLUMN node bigint NOT NULL DEFAULT 0;
ALTER TABLE timers ADD COLUMN kind smallint NOT NULL DEFAULT 1;
ALTER TABLE timers DROP CONSTRAINT timers_pkey;
ALTER TABLE timers ADD PRIMARY KEY (at, step, node);
