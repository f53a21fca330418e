-- Version 5: epochs. A store that was restored holds all writes until a person has said of each open step whether it was carried out
-- in the time that the store forgot. The epoch itself stands in `meta`: its number, its times, and the number again while it holds.

-- What was known of a log when the epoch began: its size, and the checkpoint that was kept outside, which may be of a longer log.
CREATE TABLE epoch_logs (
  epoch INTEGER NOT NULL, reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL, size INTEGER NOT NULL, kept TEXT,
  PRIMARY KEY (epoch, tenant_id, mode)
) WITHOUT ROWID;
-- `kind`: 0 a run that may propose more (step = run), 1 an action. `resolved`: null until a person said 1 applied, 0 not.
CREATE TABLE epoch_steps (
  epoch INTEGER NOT NULL, step BLOB NOT NULL, run_id BLOB NOT NULL, kind INTEGER NOT NULL, resolved INTEGER,
  reseller_id BLOB NOT NULL, tenant_id BLOB NOT NULL, mode INTEGER NOT NULL,
  PRIMARY KEY (epoch, step)
) WITHOUT ROWID;
-- For retention: which journals hold a blob. It is named from byte 22 on, where a result begins with {"blob":.
CREATE INDEX journal_by_blob ON journal (substr(result, 22, 64)) WHERE substr(result, 1, 8) = x'7b22626c6f62223a';
