-- Roles, grants and row security. Run after every migration; says all of it anew each time.
--
-- tollgate_serve and tollgate_worker own nothing and may bypass nothing: logins are members of one of them. tollgate_dispatch logs in
-- nowhere: it owns the functions that move dispatch rows across tenants, and sees nothing but dispatch tables.

DO $$
DECLARE
  r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['tollgate_serve', 'tollgate_worker', 'tollgate_dispatch'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', r);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database of this cluster made it just now
      END;
    END IF;
  END LOOP;
END $$;

REVOKE ALL ON SCHEMA tollgate FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA tollgate FROM PUBLIC, tollgate_serve, tollgate_worker, tollgate_dispatch;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tollgate FROM PUBLIC, tollgate_serve, tollgate_worker, tollgate_dispatch;
GRANT USAGE ON SCHEMA tollgate TO tollgate_serve, tollgate_worker, tollgate_dispatch;

-- The control plane owns all truth; what must never change has neither UPDATE nor DELETE.
GRANT SELECT ON ALL TABLES IN SCHEMA tollgate TO tollgate_serve;
GRANT INSERT ON ALL TABLES IN SCHEMA tollgate TO tollgate_serve;
GRANT UPDATE ON meta, idempotency, runs, graphs, actions, effect_keys, lanes, sessions, approvals, approval_queues, denials, replays, logs, statuses,
  api_keys, secrets, held, timers, ready TO tollgate_serve;
GRANT DELETE ON idempotency, key_waiters, lanes, ready, held, timers, blocked, sessions, tellings, denials, unsequenced, unpublished, outbox_queue, secrets, parked, limits TO tollgate_serve;

-- A worker changes execution state and appends to the ledger, and no more.
GRANT SELECT ON meta, scopes, events, runs, actions, effect_keys, key_waiters, lanes, ready, held, timers, parked, blocked, sessions, approvals,
  approval_queues, denials, tellings, entries, artifacts, deployments, statuses, secrets, tenant_keys, subject_keys, logs, graphs, journal,
  blobs, unsequenced TO tollgate_worker;
GRANT INSERT ON actions, effect_keys, key_waiters, lanes, ready, held, timers, blocked, sessions, approvals, approval_queues, denials, tellings, entries,
  unsequenced, subject_keys, journal, blobs, outbox_queue, parked, openings TO tollgate_worker;
GRANT UPDATE ON runs, graphs, actions, effect_keys, lanes, held, sessions, approvals, denials TO tollgate_worker;
GRANT DELETE ON key_waiters, lanes, ready, held, timers, parked, blocked, sessions, tellings TO tollgate_worker;

GRANT UPDATE ON epoch_steps TO tollgate_serve;
GRANT SELECT, INSERT, UPDATE, DELETE ON ready, held, timers, sessions, parked, places, openings TO tollgate_dispatch;
GRANT SELECT ON meta, limits, label_sets TO tollgate_dispatch;

-- What is partitioned is reached by its name alone: a month that was made since gives nothing away that the next migration would.
DO $$
DECLARE
  p regclass;
BEGIN
  FOR p IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'tollgate'::regnamespace AND c.relispartition AND c.relkind = 'r' LOOP
    EXECUTE format('REVOKE ALL ON %s FROM tollgate_serve, tollgate_worker', p);
  END LOOP;
END $$;

-- Row security: a row is visible when its tenant is in the transaction's set for the row's mode. The sets are read once per statement
-- (an init plan); none set means no rows. Forced, so that it binds the tables' owner too.
DO $$
DECLARE
  t record;
  rule CONSTANT text := '(mode = 0 AND tenant_id = ANY ((SELECT NULLIF(current_setting(''tollgate.live'', true), '''')::uuid[])::uuid[]))'
    || ' OR (mode = 1 AND tenant_id = ANY ((SELECT NULLIF(current_setting(''tollgate.test'', true), '''')::uuid[])::uuid[]))';
  either CONSTANT text := 'tenant_id = ANY ((SELECT NULLIF(current_setting(''tollgate.live'', true), '''')::uuid[])::uuid[])'
    || ' OR tenant_id = ANY ((SELECT NULLIF(current_setting(''tollgate.test'', true), '''')::uuid[])::uuid[])';
BEGIN
  FOR t IN
    SELECT c.relname AS name, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'mode' AND NOT a.attisdropped) AS moded
    FROM pg_class c
    WHERE c.relnamespace = 'tollgate'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'scopes'
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t.name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t.name);
    EXECUTE format('DROP POLICY IF EXISTS tenants ON %I', t.name);
    EXECUTE format('CREATE POLICY tenants ON %I USING (%s) WITH CHECK (%s)', t.name,
      CASE WHEN t.moded THEN rule ELSE either END, CASE WHEN t.moded THEN rule ELSE either END);
  END LOOP;
  FOREACH t.name IN ARRAY ARRAY['ready', 'held', 'timers', 'parked', 'places', 'openings', 'limits'] LOOP
    EXECUTE format('DROP POLICY IF EXISTS dispatch ON %I', t.name);
    EXECUTE format('CREATE POLICY dispatch ON %I TO tollgate_dispatch USING (true) WITH CHECK (true)', t.name);
  END LOOP;
END $$;

-- What a commit was decided on must still be so: as many rows as were read, or nothing of the transaction.
CREATE OR REPLACE FUNCTION expect(p_found bigint, p_wanted bigint) RETURNS void LANGUAGE plpgsql SET search_path = tollgate, pg_temp AS $$
BEGIN
  IF p_found <> p_wanted THEN
    RAISE EXCEPTION '% of % rows were as they were read', p_found, p_wanted USING ERRCODE = 'TG002';
  END IF;
END $$;
REVOKE ALL ON FUNCTION expect(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION expect(bigint, bigint) TO tollgate_serve, tollgate_worker;
