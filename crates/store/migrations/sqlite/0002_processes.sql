-- Version 2: what a second engine and several processes need has the same name in both dialects.

ALTER TABLE replays RENAME COLUMN end TO end_at; -- `end` is a word of SQL
ALTER TABLE approval_queues ADD COLUMN reseller_id BLOB;
ALTER TABLE approval_queues ADD COLUMN tenant_id BLOB;
ALTER TABLE approval_queues ADD COLUMN mode INTEGER;
UPDATE approval_queues SET (reseller_id, tenant_id, mode) = (SELECT reseller_id, tenant_id, mode FROM approvals a WHERE a.id = approval);

-- Two tenants that deploy the same bundle each have their own copy: neither sees what the other has.
CREATE TABLE artifacts_of (
  tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, digest BLOB NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL, reseller_id BLOB NOT NULL,
  PRIMARY KEY (digest, tenant_id, mode)
) WITHOUT ROWID;
INSERT INTO artifacts_of (tenant_id, mode, digest, kind, body, reseller_id)
  SELECT d.tenant_id, d.mode, a.digest, a.kind, a.body, d.reseller_id
  FROM artifacts a, (SELECT DISTINCT reseller_id, tenant_id, mode FROM deployments) d;
DROP TABLE artifacts;
ALTER TABLE artifacts_of RENAME TO artifacts;

-- What the run machine needs to know of each action of a plan, without reading proposals: 1 independent, 2 goes on after a failure.
ALTER TABLE actions ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;
UPDATE actions SET flags = COALESCE(json_extract(CAST(proposal AS TEXT), '$.independent'), 0)
  + 2 * COALESCE(json_extract(CAST(proposal AS TEXT), '$.continue_on_failure'), 0);

-- What the engine of steps is told after an effect was committed, where the two do not share a transaction. Ids, order and fences, no content.
CREATE TABLE tellings (
  n INTEGER PRIMARY KEY, what INTEGER NOT NULL, step BLOB NOT NULL, run_id BLOB NOT NULL, kind INTEGER NOT NULL, fence INTEGER NOT NULL,
  at INTEGER, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL
);
