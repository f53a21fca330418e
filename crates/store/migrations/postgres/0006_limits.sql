-- Version 6: on what terms steps wait. Which workers may take them, how much of a head start they have, what limits them.

ALTER TABLE runs ADD COLUMN terms bytea;
ALTER TABLE actions ADD COLUMN terms bytea;
ALTER TABLE sessions ADD COLUMN labels text; -- without: everything
-- Sets of labels that something requires, by the number that is a function of the set.
CREATE TABLE label_sets (id bigint PRIMARY KEY, labels text NOT NULL);

-- `due` orders the steps of a tenant: when a step came, less its head start. `at` is when it came. `limits`: class and id of each.
ALTER TABLE ready ADD COLUMN label bigint NOT NULL DEFAULT 0;
ALTER TABLE ready ADD COLUMN due bigint NOT NULL DEFAULT 0;
ALTER TABLE ready ADD COLUMN at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000000)::bigint;
ALTER TABLE ready ALTER COLUMN at SET DEFAULT 0;
ALTER TABLE ready ADD COLUMN limits bytea;
ALTER TABLE ready DROP CONSTRAINT ready_pkey;
ALTER TABLE ready ADD PRIMARY KEY (label, tenant_id, due, n);
ALTER TABLE held ADD COLUMN label bigint NOT NULL DEFAULT 0;
ALTER TABLE held ADD COLUMN due bigint NOT NULL DEFAULT 0; -- its place when it is handed back; in front when it was never in the queue
ALTER TABLE held ADD COLUMN limits bytea;
ALTER TABLE timers ADD COLUMN label bigint NOT NULL DEFAULT 0;
ALTER TABLE timers ADD COLUMN priority smallint NOT NULL DEFAULT 0;
ALTER TABLE timers ADD COLUMN limits bytea;
ALTER TABLE tellings ADD COLUMN label bigint NOT NULL DEFAULT 0;
ALTER TABLE tellings ADD COLUMN priority smallint NOT NULL DEFAULT 0;
ALTER TABLE tellings ADD COLUMN limits bytea;

-- The maximum of each class, as the active bundle says.
CREATE TABLE limits (
  tenant_id uuid NOT NULL, mode smallint NOT NULL, class uuid NOT NULL, max bigint NOT NULL, reseller_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, mode, class)
);
-- Who counts under a limit: from becoming ready until the claim ends.
CREATE TABLE places (
  limit_id uuid NOT NULL, step uuid NOT NULL, node bigint NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (limit_id, step, node)
);
-- Limited steps that have no place yet, each under one of its limits. Nobody looks at them while that limit is full.
CREATE TABLE parked (
  limit_id uuid NOT NULL, label bigint NOT NULL, due bigint NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY, at bigint NOT NULL,
  step uuid NOT NULL, node bigint NOT NULL, run_id uuid NOT NULL, kind smallint NOT NULL, fence bigint NOT NULL, limits bytea NOT NULL,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (limit_id, label, due, n)
);
CREATE INDEX parked_step ON parked (step); -- a step that is disposed while it waits
-- Limits that may have room for what is parked under them. `label`: -1 for any, or that which the next one requires.
CREATE TABLE openings (
  label bigint NOT NULL, tenant_id uuid NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY, limit_id uuid NOT NULL,
  reseller_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (label, tenant_id, n)
);
-- Where a claim found so many rows of the queue gone that an open snapshot keeps: until when, by the clock of the machine, and from where on
-- claims look in its place. Only claims write here, and nothing is lost with it.
CREATE TABLE fronts (
  label bigint NOT NULL, tenant_id uuid NOT NULL, due bigint NOT NULL, until bigint NOT NULL,
  PRIMARY KEY (label, tenant_id)
);
