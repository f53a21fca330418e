-- Changes of state, for whoever follows them: what one group of commands changed in one tenant and mode, in its order. Each commit adds to
-- the queue; the publisher takes from it in order and gives positions, so that no late commit is skipped. Ids, states, codes and times, no
-- content. `runs`: the ids of the runs that changed, one after the other.
CREATE TABLE outbox_queue (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, changes bigint NOT NULL, at bigint NOT NULL, runs bytea NOT NULL, body bytea NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL
);
-- `pos` numbers the last of the row's changes.
CREATE TABLE outbox (
  pos bigint PRIMARY KEY, changes bigint NOT NULL, at bigint NOT NULL, body bytea NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL
);
CREATE INDEX outbox_scope ON outbox (tenant_id, mode, pos); -- a tenant's stream
-- The rows that tell of a run: its stream.
CREATE TABLE outbox_runs (
  run_id uuid NOT NULL, pos bigint NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (run_id, pos)
);
-- Ids do not compress.
ALTER TABLE outbox_queue ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN runs SET STORAGE EXTERNAL;
ALTER TABLE outbox ALTER COLUMN body SET STORAGE EXTERNAL;
