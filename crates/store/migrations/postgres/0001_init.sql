-- Postgres, version 1. Ids are uuid, instants microseconds, digests 32 bytes. Every table says whose it is; row security below.
-- Unique keys lie in tables of their own that no time divides; events and ledger bodies are partitioned by the time that their ids begin
-- with, so that retention drops files. Each index names the query that needs it; there is no other.

CREATE TABLE meta (k text PRIMARY KEY, v bigint NOT NULL);

-- Every tenant and mode that there is: what an installation-wide sweep sets as its tenants.
CREATE TABLE scopes (
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL, log bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (tenant_id, mode)
);

CREATE TABLE events (
  id uuid NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  source text NOT NULL, event_type text NOT NULL, subject text, time bigint NOT NULL, received_at bigint NOT NULL,
  correlation_id text, agent_id text, session_id text, traceparent text, payload text NOT NULL,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE TABLE events_rest PARTITION OF events DEFAULT;

CREATE TABLE idempotency (
  tenant_id uuid NOT NULL, mode smallint NOT NULL, route text NOT NULL, key text NOT NULL, reseller_id uuid NOT NULL,
  fingerprint bytea NOT NULL, ref uuid NOT NULL, expires_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, mode, route, key)
);

CREATE TABLE runs (
  id uuid PRIMARY KEY, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL, event_id uuid, operator text,
  offering bigint NOT NULL, principal text NOT NULL, bundle bytea NOT NULL, strict boolean NOT NULL, state smallint NOT NULL,
  cancelling boolean NOT NULL DEFAULT false, reason text, actions bigint NOT NULL DEFAULT 0,
  created_at bigint NOT NULL, planned_at bigint, updated_at bigint NOT NULL
);
CREATE UNIQUE INDEX runs_offering ON runs (event_id, operator, offering) WHERE event_id IS NOT NULL; -- one run per offering

CREATE TABLE actions (
  id uuid PRIMARY KEY, run_id uuid NOT NULL, seq bigint NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  tool text NOT NULL, tool_digest bytea, effect boolean NOT NULL, proposal bytea NOT NULL, flags bigint NOT NULL, salt bytea NOT NULL,
  lane bytea, key bytea, fingerprint bytea, strict boolean NOT NULL,
  state smallint NOT NULL, disposition text, reason text, detail text, receipt uuid, output bytea, resolved boolean,
  attempts bigint NOT NULL DEFAULT 0, generation bigint NOT NULL DEFAULT 1, in_doubt boolean NOT NULL DEFAULT false,
  generation_began bigint NOT NULL DEFAULT 0, doubt_deadline bigint NOT NULL DEFAULT 0, verify_failures bigint NOT NULL DEFAULT 0,
  fence bigint NOT NULL DEFAULT 0,
  rendered bytea, deadline_at bigint, last_intent uuid, last_end uuid, open_session uuid, approval uuid,
  compensates uuid,
  created_at bigint NOT NULL, updated_at bigint NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX actions_run ON actions (run_id, seq);  -- the plan of a run

CREATE TABLE effect_keys (
  key bytea NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  state smallint NOT NULL, action uuid NOT NULL, receipt uuid, fingerprint bytea NOT NULL,
  generation bigint NOT NULL DEFAULT 1, began bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (key)
);
CREATE TABLE key_waiters (
  key bytea NOT NULL, action uuid NOT NULL, run_id uuid NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (key, action)
);

CREATE TABLE lanes (
  lane bytea NOT NULL, ticket bigint NOT NULL, step uuid NOT NULL, run_id uuid NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (lane, ticket)
);
CREATE UNIQUE INDEX lanes_step ON lanes (lane, step); -- whether a step has its place

CREATE TABLE ready (
  n bigint GENERATED ALWAYS AS IDENTITY, step uuid NOT NULL, run_id uuid NOT NULL, kind smallint NOT NULL, fence bigint NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (tenant_id, n)
);
CREATE INDEX ready_step ON ready (step); -- a step that is disposed while it waits
CREATE TABLE held (
  step uuid PRIMARY KEY, run_id uuid NOT NULL, kind smallint NOT NULL, fence bigint NOT NULL, session uuid NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL
);
CREATE INDEX held_session ON held (session); -- handing back what a session held
CREATE TABLE timers (
  at bigint NOT NULL, step uuid NOT NULL, run_id uuid NOT NULL, fence bigint NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (at, step)
);
CREATE INDEX timers_step ON timers (step); -- a step that is disposed while it waits
CREATE TABLE blocked (
  action uuid PRIMARY KEY, run_id uuid NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL
);
CREATE TABLE sessions (id uuid PRIMARY KEY, expires_at bigint NOT NULL);

CREATE TABLE approvals (
  id uuid PRIMARY KEY, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  action uuid NOT NULL, run_id uuid NOT NULL, status text NOT NULL, binding bytea NOT NULL, shown bytea NOT NULL,
  created_at bigint NOT NULL, expires_at bigint NOT NULL, answered_at bigint
);
CREATE INDEX approvals_open ON approvals (expires_at) WHERE status = 'open'; -- the sweep of lapsed requests
CREATE TABLE approval_queues (
  approval uuid NOT NULL, queue text NOT NULL, by text, entry uuid, at bigint,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (approval, queue)
);
CREATE TABLE denials (
  key bytea NOT NULL, fingerprint bytea NOT NULL, entry uuid NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (key, fingerprint)
);

CREATE TABLE replays (
  id uuid PRIMARY KEY, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL, range text NOT NULL,
  offering bigint NOT NULL, next bigint NOT NULL, end_at bigint NOT NULL, runs bigint NOT NULL DEFAULT 0, created_at bigint NOT NULL
);

-- The ledger. Entries are appended without a position and queue up in `unsequenced`; the sequencer gives positions, in the order of `n`.
CREATE TABLE logs (
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL, frontier bytea NOT NULL,
  PRIMARY KEY (tenant_id, mode)
);
CREATE TABLE entries (
  id uuid NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  kind text NOT NULL, at bigint NOT NULL, action uuid, leaf bytea NOT NULL, leaf_hash bytea NOT NULL, sealed bytea,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE TABLE entries_rest PARTITION OF entries DEFAULT;
ALTER TABLE entries ALTER COLUMN sealed SET STORAGE EXTERNAL; -- sealed is what cannot be compressed
CREATE INDEX entries_action ON entries (action) WHERE action IS NOT NULL; -- the ledger of one action
CREATE TABLE unsequenced (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entry uuid NOT NULL, leaf_hash bytea NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL
);
CREATE TABLE positions (
  tenant_id uuid NOT NULL, mode smallint NOT NULL, pos bigint NOT NULL, entry uuid NOT NULL, leaf_hash bytea NOT NULL, reseller_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, mode, pos)
);
CREATE UNIQUE INDEX positions_entry ON positions (entry); -- where an entry stands
CREATE TABLE tiles (
  tenant_id uuid NOT NULL, mode smallint NOT NULL, level smallint NOT NULL, idx bigint NOT NULL, hash bytea NOT NULL, reseller_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, mode, level, idx)
);
CREATE TABLE checkpoints (
  tenant_id uuid NOT NULL, mode smallint NOT NULL, size bigint NOT NULL, signed text NOT NULL, reseller_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, mode, size)
);
CREATE TABLE subject_keys (
  key_id uuid PRIMARY KEY, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL, subject bytea NOT NULL, wrapped bytea NOT NULL
);

-- What was committed, in the order in which one fenced publisher found it: streams and replays read these positions and miss no late commit.
CREATE TABLE unpublished (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event uuid NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL
);
CREATE TABLE event_positions (
  pos bigint PRIMARY KEY, event uuid NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL
);
CREATE INDEX event_positions_scope ON event_positions (tenant_id, mode, pos); -- a tenant's stream

CREATE TABLE artifacts (
  tenant_id uuid NOT NULL, mode smallint NOT NULL, digest bytea NOT NULL, kind text NOT NULL, body bytea NOT NULL, reseller_id uuid NOT NULL,
  PRIMARY KEY (digest, tenant_id, mode)
);
CREATE TABLE deployments (
  id uuid PRIMARY KEY, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL, bundle bytea NOT NULL, at bigint NOT NULL
);
CREATE INDEX deployments_scope ON deployments (tenant_id, mode, id DESC); -- what is active
CREATE TABLE statuses (
  tenant_id uuid NOT NULL, mode smallint NOT NULL, kind text NOT NULL, name text NOT NULL, reseller_id uuid NOT NULL, status text NOT NULL,
  PRIMARY KEY (tenant_id, mode, kind, name)
);
CREATE TABLE api_keys (
  id uuid PRIMARY KEY, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL, name text NOT NULL, hash bytea NOT NULL,
  scopes text NOT NULL, created_at bigint NOT NULL, revoked_at bigint
);
CREATE TABLE secrets (
  tenant_id uuid NOT NULL, mode smallint NOT NULL, name text NOT NULL, reseller_id uuid NOT NULL, version bigint NOT NULL,
  ciphertext bytea NOT NULL, updated_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, mode, name)
);
CREATE TABLE tenant_keys (
  tenant_id uuid PRIMARY KEY, reseller_id uuid NOT NULL, key_id uuid NOT NULL, wrapped bytea NOT NULL
);
