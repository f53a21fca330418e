-- The embedded store, version 1. Ids are 16-byte blobs, instants microseconds, digests 32-byte blobs.
-- Each index names the query that needs it; there is no other.

CREATE TABLE meta (k TEXT PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;

-- `pos` is given at commit by the one writer: it is the order of the event log.
CREATE TABLE events (
  pos INTEGER PRIMARY KEY, id BLOB NOT NULL, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  source TEXT NOT NULL, event_type TEXT NOT NULL, subject TEXT, time INTEGER NOT NULL, received_at INTEGER NOT NULL,
  correlation_id TEXT, agent_id TEXT, session_id TEXT, traceparent TEXT, payload TEXT NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (id); -- events.get

CREATE TABLE idempotency (
  tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, route TEXT NOT NULL, key TEXT NOT NULL, reseller_id BLOB NOT NULL,
  fingerprint BLOB NOT NULL, ref BLOB NOT NULL, expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, mode, route, key)
) WITHOUT ROWID;

-- A plan is stored once per run, so its id is the run's under another prefix. `event_id` is null for direct actions.
CREATE TABLE runs (
  id BLOB PRIMARY KEY, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, event_id BLOB, operator TEXT,
  offering INTEGER NOT NULL, principal TEXT NOT NULL, bundle BLOB NOT NULL, strict INTEGER NOT NULL, state INTEGER NOT NULL,
  cancelling INTEGER NOT NULL DEFAULT 0, reason TEXT, actions INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL, planned_at INTEGER, updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX runs_offering ON runs (event_id, operator, offering) WHERE event_id IS NOT NULL; -- one run per offering

CREATE TABLE actions (
  n INTEGER PRIMARY KEY, id BLOB NOT NULL, run_id BLOB NOT NULL, seq INTEGER NOT NULL,
  reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  tool TEXT NOT NULL, tool_digest BLOB, effect INTEGER NOT NULL, proposal BLOB NOT NULL, salt BLOB NOT NULL, lane BLOB, key BLOB, fingerprint BLOB, strict INTEGER NOT NULL,
  state INTEGER NOT NULL, disposition TEXT, reason TEXT, detail TEXT, receipt BLOB, output BLOB, resolved INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0, generation INTEGER NOT NULL DEFAULT 1, in_doubt INTEGER NOT NULL DEFAULT 0,
  generation_began INTEGER NOT NULL DEFAULT 0, doubt_deadline INTEGER NOT NULL DEFAULT 0, verify_failures INTEGER NOT NULL DEFAULT 0,
  fence INTEGER NOT NULL DEFAULT 0, -- the last one given out, kept while no dispatch row does
  rendered BLOB, deadline_at INTEGER, last_intent BLOB, last_end BLOB, open_session BLOB, approval BLOB,
  compensates BLOB, -- the action whose effect it takes back
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX actions_id ON actions (id);            -- actions.get
CREATE UNIQUE INDEX actions_run ON actions (run_id, seq);  -- the plan of a run

-- `key` is a digest over tenant, mode and the key's text. State: 0 reserved, 1 in doubt, 2 consumed, 3 free again: what stays is the
-- generation that the next action starts from and when the remote first saw it, or a rejection stored by a remote would be repeated to it.
CREATE TABLE effect_keys (
  key BLOB PRIMARY KEY, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  state INTEGER NOT NULL, action BLOB NOT NULL, receipt BLOB, fingerprint BLOB NOT NULL,
  generation INTEGER NOT NULL DEFAULT 1, began INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE key_waiters (key BLOB NOT NULL, action BLOB NOT NULL, run_id BLOB NOT NULL, PRIMARY KEY (key, action)) WITHOUT ROWID;

-- The lowest ticket of a lane holds it. `step` is an action, or a run whose reasoning is ordered.
CREATE TABLE lanes (
  lane BLOB NOT NULL, ticket INTEGER NOT NULL, step BLOB NOT NULL, run_id BLOB NOT NULL,
  PRIMARY KEY (lane, ticket)
) WITHOUT ROWID;

-- Dispatch tables: ids, order and fences, no content. A step is in at most one of ready, held, timers.
-- `kind`: 0 the reasoning step (step = run), 1 an action.
CREATE TABLE ready (
  n INTEGER PRIMARY KEY, step BLOB NOT NULL, run_id BLOB NOT NULL, kind INTEGER NOT NULL, fence INTEGER NOT NULL,
  reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL
);
CREATE TABLE held (
  step BLOB PRIMARY KEY, run_id BLOB NOT NULL, kind INTEGER NOT NULL, fence INTEGER NOT NULL, session BLOB NOT NULL,
  reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE timers (
  at INTEGER NOT NULL, step BLOB NOT NULL, run_id BLOB NOT NULL, fence INTEGER NOT NULL,
  reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  PRIMARY KEY (at, step)
) WITHOUT ROWID;
-- Compensations that the gate does not let pass: what a deployment or a change of status sends to the gate again.
CREATE TABLE blocked (
  action BLOB PRIMARY KEY, run_id BLOB NOT NULL, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE sessions (id BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE approvals (
  id BLOB PRIMARY KEY, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  action BLOB NOT NULL, run_id BLOB NOT NULL, status TEXT NOT NULL, binding BLOB NOT NULL, shown BLOB NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, answered_at INTEGER
) WITHOUT ROWID;
CREATE INDEX approvals_open ON approvals (expires_at) WHERE status = 'open'; -- the sweep of lapsed requests
CREATE TABLE approval_queues (
  approval BLOB NOT NULL, queue TEXT NOT NULL, by TEXT, entry BLOB, at INTEGER,
  PRIMARY KEY (approval, queue)
) WITHOUT ROWID;
CREATE TABLE denials (
  key BLOB NOT NULL, fingerprint BLOB NOT NULL, entry BLOB NOT NULL, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  PRIMARY KEY (key, fingerprint)
) WITHOUT ROWID;

CREATE TABLE replays (
  id BLOB PRIMARY KEY, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, range TEXT NOT NULL,
  offering INTEGER NOT NULL, next INTEGER NOT NULL, end INTEGER NOT NULL, runs INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- One Merkle log per tenant and mode. `frontier` is the compact form of the tree.
CREATE TABLE logs (
  log INTEGER PRIMARY KEY, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, frontier BLOB NOT NULL
);
-- The row id is log * 2^40 + position: one tree, appended to at its end.
CREATE TABLE entries (
  n INTEGER PRIMARY KEY, id BLOB NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, action BLOB, leaf BLOB NOT NULL, leaf_hash BLOB NOT NULL, sealed BLOB
);
CREATE UNIQUE INDEX entries_id ON entries (id);                                     -- receipts.get
CREATE INDEX entries_action ON entries (action) WHERE action IS NOT NULL;           -- the ledger of one action
-- Roots of complete subtrees of 256, 65,536, ... leaves.
CREATE TABLE tiles (log INTEGER NOT NULL, level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (log, level, idx)) WITHOUT ROWID;
CREATE TABLE checkpoints (log INTEGER NOT NULL, size INTEGER NOT NULL, signed TEXT NOT NULL, PRIMARY KEY (log, size)) WITHOUT ROWID;
CREATE TABLE subject_keys (
  key_id BLOB PRIMARY KEY, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, subject BLOB NOT NULL, wrapped BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE artifacts (digest BLOB PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE deployments (
  id BLOB PRIMARY KEY, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, bundle BLOB NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE statuses (
  tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, reseller_id BLOB NOT NULL, status TEXT NOT NULL,
  PRIMARY KEY (tenant_id, mode, kind, name)
) WITHOUT ROWID;
CREATE TABLE api_keys (
  id BLOB PRIMARY KEY, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL,
  scopes TEXT NOT NULL, created_at INTEGER NOT NULL, revoked_at INTEGER
) WITHOUT ROWID;
CREATE TABLE secrets (
  tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, name TEXT NOT NULL, reseller_id BLOB NOT NULL, version INTEGER NOT NULL,
  ciphertext BLOB NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, mode, name)
) WITHOUT ROWID;
CREATE TABLE tenant_keys (
  tenant_id BLOB PRIMARY KEY, reseller_id BLOB NOT NULL, key_id BLOB NOT NULL, wrapped BLOB NOT NULL
) WITHOUT ROWID;
