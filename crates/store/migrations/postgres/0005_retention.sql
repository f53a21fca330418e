-- Version 5: epochs. A store that was restored holds all writes until a person has said of each open step whether it was carried out
-- in the time that the store forgot. The epoch itself stands in `meta`: its number, its times, and the number again while it holds.

-- What was known of a log when the epoch began: its size, and the checkpoint that was kept outside, which may be of a longer log.
CREATE TABLE epoch_logs (
  epoch bigint NOT NULL, reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL, size bigint NOT NULL, kept text,
  PRIMARY KEY (epoch, tenant_id, mode)
);
-- `kind`: 0 a run that may propose more (step = run), 1 an action. `resolved`: null until a person said true applied, false not.
CREATE TABLE epoch_steps (
  epoch bigint NOT NULL, step uuid NOT NULL, run_id uuid NOT NULL, kind smallint NOT NULL, resolved boolean,
  reseller_id uuid NOT NULL, tenant_id uuid NOT NULL, mode smallint NOT NULL,
  PRIMARY KEY (epoch, step)
);
-- For retention: which journals hold a blob. It is named from byte 22 on, where a result begins with {"blob":.
CREATE INDEX journal_by_blob ON journal (substr(result, 22, 64)) WHERE substr(result, 1, 8) = '\x7b22626c6f62223a'::bytea;
