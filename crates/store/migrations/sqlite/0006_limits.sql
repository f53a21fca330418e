-- Version 6: on what terms steps wait. Which workers may take them, how much of a head start they have, what limits them.

ALTER TABLE runs ADD COLUMN terms BLOB;
ALTER TABLE actions ADD COLUMN terms BLOB;
ALTER TABLE sessions ADD COLUMN labels TEXT; -- without: everything
-- Sets of labels that something requires, by the number that is a function of the set.
CREATE TABLE label_sets (id INTEGER NOT NULL PRIMARY KEY, labels TEXT NOT NULL);

-- `due` orders steps: when a step came, less its head start. `at` is when it came. `limits`: class and id of each.
-- From here on the row's number is made of `due`, so that the table itself is the order.
ALTER TABLE ready ADD COLUMN label INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ready ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ready ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ready ADD COLUMN limits BLOB;
UPDATE ready SET at = CAST(strftime('%s', 'now') AS INTEGER) * 1000000;
ALTER TABLE held ADD COLUMN label INTEGER NOT NULL DEFAULT 0;
ALTER TABLE held ADD COLUMN due INTEGER NOT NULL DEFAULT 0; -- its place when it is handed back; in front when it was never in the queue
ALTER TABLE held ADD COLUMN limits BLOB;
ALTER TABLE timers ADD COLUMN label INTEGER NOT NULL DEFAULT 0;
ALTER TABLE timers ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE timers ADD COLUMN limits BLOB;
ALTER TABLE tellings ADD COLUMN label INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tellings ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tellings ADD COLUMN limits BLOB;

-- The maximum of each class, as the active bundle says.
CREATE TABLE limits (
  tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, class BLOB NOT NULL, max INTEGER NOT NULL, reseller_id BLOB NOT NULL,
  PRIMARY KEY (tenant_id, mode, class)
) WITHOUT ROWID;
-- Who counts under a limit: from becoming ready until the claim ends.
CREATE TABLE places (
  limit_id BLOB NOT NULL, step BLOB NOT NULL, node INTEGER NOT NULL, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  PRIMARY KEY (limit_id, step, node)
) WITHOUT ROWID;
-- Limited steps that have no place yet, each under one of its limits. Nobody looks at them while that limit is full.
CREATE TABLE parked (
  n INTEGER NOT NULL PRIMARY KEY, limit_id BLOB NOT NULL, label INTEGER NOT NULL, due INTEGER NOT NULL, at INTEGER NOT NULL,
  step BLOB NOT NULL, node INTEGER NOT NULL, run_id BLOB NOT NULL, kind INTEGER NOT NULL, fence INTEGER NOT NULL, limits BLOB NOT NULL,
  reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL
);
CREATE INDEX parked_order ON parked (limit_id, label, due, n); -- the next one that gets a place
-- Limits that may have room for what is parked under them. `label`: -1 for any, or that which the next one requires.
CREATE TABLE openings (
  n INTEGER NOT NULL PRIMARY KEY, label INTEGER NOT NULL, tenant_id BLOB NOT NULL, limit_id BLOB NOT NULL, reseller_id BLOB NOT NULL,
  mode INTEGER NOT NULL
);
