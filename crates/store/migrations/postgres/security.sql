-- Roles, grants, row security and the functions of the dispatch role. Run after every migration; says all of it anew each time.
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
GRANT DELETE ON idempotency, key_waiters, lanes, ready, held, timers, blocked, sessions, tellings, denials, unsequenced, unpublished, outbox_queue, secrets TO tollgate_serve;

-- A worker changes execution state and appends to the ledger, and no more.
GRANT SELECT ON meta, scopes, events, runs, actions, effect_keys, key_waiters, lanes, ready, held, timers, blocked, sessions, approvals,
  approval_queues, denials, tellings, entries, artifacts, deployments, statuses, secrets, tenant_keys, subject_keys, logs, graphs, journal,
  blobs, unsequenced TO tollgate_worker;
GRANT INSERT ON actions, effect_keys, key_waiters, lanes, ready, held, timers, blocked, sessions, approvals, approval_queues, denials, tellings, entries,
  unsequenced, subject_keys, journal, blobs, outbox_queue TO tollgate_worker;
GRANT UPDATE ON runs, graphs, actions, effect_keys, lanes, held, sessions, approvals, denials TO tollgate_worker;
GRANT DELETE ON key_waiters, lanes, ready, held, timers, blocked, sessions, tellings TO tollgate_worker;

GRANT UPDATE ON epoch_steps TO tollgate_serve;
GRANT SELECT, INSERT, UPDATE, DELETE ON ready, held, timers, sessions TO tollgate_dispatch;
GRANT SELECT ON meta TO tollgate_dispatch;

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
  FOREACH t.name IN ARRAY ARRAY['ready', 'held', 'timers'] LOOP
    EXECUTE format('DROP POLICY IF EXISTS dispatch ON %I', t.name);
    EXECUTE format('CREATE POLICY dispatch ON %I TO tollgate_dispatch USING (true) WITH CHECK (true)', t.name);
  END LOOP;
END $$;

-- Claims for a session, fair between tenants: a random start spreads the workers, and tenant by tenant in turn gives a few steps. Whoever
-- has many waits no longer than its turn, and what a whole turn leaves free goes to those who have more.
DROP FUNCTION IF EXISTS claim(uuid, int, bigint, uuid); -- what it returns changes
CREATE FUNCTION claim(p_session uuid, p_limit int, p_now bigint, p_from uuid)
RETURNS TABLE (step uuid, node bigint, run_id uuid, kind smallint, fence bigint, reseller_id uuid, tenant_id uuid, mode smallint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET plan_cache_mode = force_generic_plan
  SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  wanted int := p_limit;
  share int := 4; -- steps of one tenant at its turn: neighbours in the index
  width int := GREATEST(1, p_limit / 4); -- tenants looked at together
  here uuid := p_from;
  wrapped boolean := false;
  batch uuid[];
  turn uuid[] := '{}';
  got int;
BEGIN
  IF NOT EXISTS (SELECT FROM sessions s WHERE s.id = p_session AND s.expires_at > p_now) THEN
    RAISE EXCEPTION 'the session''s lease lapsed' USING ERRCODE = 'TG001';
  END IF;
  -- Nothing is taken up while a restored store's epoch holds all writes.
  IF EXISTS (SELECT FROM meta m WHERE m.k = 'epoch_held' AND m.v > 0) THEN
    RETURN;
  END IF;
  WHILE wanted > 0 LOOP
    WITH RECURSIVE t(id, n) AS (
      SELECT CASE WHEN here IS NULL THEN (SELECT r.tenant_id FROM ready r ORDER BY r.tenant_id LIMIT 1)
        ELSE (SELECT r.tenant_id FROM ready r WHERE r.tenant_id > here ORDER BY r.tenant_id LIMIT 1) END, 1
      UNION ALL
      SELECT (SELECT r.tenant_id FROM ready r WHERE r.tenant_id > t.id ORDER BY r.tenant_id LIMIT 1), t.n + 1
      FROM t WHERE t.id IS NOT NULL AND t.n < width
    ) SELECT array_agg(t.id ORDER BY t.n) INTO batch FROM t WHERE t.id IS NOT NULL AND (NOT wrapped OR t.id <= p_from);
    IF batch IS NULL AND NOT wrapped THEN
      wrapped := true;
      here := NULL; -- the lowest there is
      CONTINUE;
    ELSIF batch IS NULL AND share < wanted AND cardinality(turn) > 0 THEN
      -- A whole turn: those who have more may give more.
      batch := turn;
      share := wanted;
      turn := '{}';
    ELSIF batch IS NULL THEN
      EXIT;
    ELSE
      here := batch[cardinality(batch)];
      turn := turn || batch;
    END IF;
    RETURN QUERY
      WITH s AS MATERIALIZED (
        SELECT r.tenant_id, r.n FROM unnest(batch) WITH ORDINALITY AS f(id, ord) CROSS JOIN LATERAL (
          SELECT q.tenant_id, q.n FROM ready q WHERE q.tenant_id = f.id ORDER BY q.n LIMIT share FOR UPDATE SKIP LOCKED
        ) r LIMIT wanted
      ), d AS (
        DELETE FROM ready q USING s WHERE q.tenant_id = s.tenant_id AND q.n = s.n RETURNING q.*
      )
      INSERT INTO held AS h (step, node, run_id, kind, fence, session, reseller_id, tenant_id, mode)
        SELECT d.step, d.node, d.run_id, d.kind, d.fence + 1, p_session, d.reseller_id, d.tenant_id, d.mode FROM d
        RETURNING h.step, h.node, h.run_id, h.kind, h.fence, h.reseller_id, h.tenant_id, h.mode;
    GET DIAGNOSTICS got = ROW_COUNT;
    wanted := wanted - got;
    -- Many tenants with little each: look at as many as may be needed.
    IF got < 2 * width THEN
      width := GREATEST(1, wanted);
    END IF;
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION pending() RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = tollgate, pg_temp STABLE AS $$ SELECT EXISTS (SELECT FROM ready) $$;

-- Makes due timers ready; answers how many, and when the next is due.
CREATE OR REPLACE FUNCTION fire_timers(p_limit int, p_now bigint, OUT fired bigint, OUT next bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  WITH due AS MATERIALIZED (SELECT t.at, t.step, t.node FROM timers t WHERE t.at <= p_now ORDER BY t.at, t.step, t.node LIMIT p_limit FOR UPDATE SKIP LOCKED),
  gone AS (DELETE FROM timers t USING due WHERE t.at = due.at AND t.step = due.step AND t.node = due.node RETURNING t.*),
  put AS (
    INSERT INTO ready (step, node, run_id, kind, fence, reseller_id, tenant_id, mode)
    SELECT g.step, g.node, g.run_id, g.kind, g.fence, g.reseller_id, g.tenant_id, g.mode FROM gone g ORDER BY g.at, g.step, g.node RETURNING 1
  ) SELECT count(*) INTO fired FROM put;
  SELECT min(t.at) INTO next FROM timers t;
END $$;

-- Hands back what a closing session held; without one, what lapsed sessions held. A step that a commit is just ending is left to it.
CREATE OR REPLACE FUNCTION hand_back(p_session uuid, p_now bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  n bigint;
  over uuid[] := ARRAY[p_session];
BEGIN
  IF p_session IS NULL THEN
    -- Who holds something, from one to the next of the index, and stands no more.
    WITH RECURSIVE s(id) AS (
      (SELECT h.session FROM held h ORDER BY h.session LIMIT 1)
      UNION ALL
      SELECT (SELECT h.session FROM held h WHERE h.session > s.id ORDER BY h.session LIMIT 1) FROM s WHERE s.id IS NOT NULL
    ) SELECT array_agg(s.id) INTO over FROM s
    WHERE s.id IS NOT NULL AND NOT EXISTS (SELECT FROM sessions x WHERE x.id = s.id AND x.expires_at > p_now);
  END IF;
  WITH mine AS MATERIALIZED (
    SELECT h.step, h.node FROM held h WHERE h.session = ANY (over) ORDER BY h.step, h.node FOR UPDATE SKIP LOCKED
  ), gone AS (DELETE FROM held h USING mine WHERE h.step = mine.step AND h.node = mine.node RETURNING h.*),
  put AS (
    -- Who hands a node of a graph back in peace did not die of it.
    INSERT INTO ready (step, node, run_id, kind, fence, reseller_id, tenant_id, mode)
    SELECT g.step, g.node, g.run_id, g.kind, g.fence - CASE WHEN p_session IS NOT NULL AND g.kind = 2 THEN 1 ELSE 0 END,
      g.reseller_id, g.tenant_id, g.mode FROM gone g ORDER BY g.step, g.node RETURNING 1
  ) SELECT count(*) INTO n FROM put;
  IF p_session IS NOT NULL THEN
    DELETE FROM sessions s WHERE s.id = p_session AND NOT EXISTS (SELECT FROM held h WHERE h.session = s.id);
    UPDATE sessions s SET expires_at = 0 WHERE s.id = p_session;
  ELSE
    DELETE FROM sessions s WHERE s.expires_at <= p_now AND NOT EXISTS (SELECT FROM held h WHERE h.session = s.id);
  END IF;
  RETURN n;
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

DO $$
DECLARE
  f regprocedure;
BEGIN
  GRANT CREATE ON SCHEMA tollgate TO tollgate_dispatch;
  EXECUTE format('GRANT tollgate_dispatch TO %I', current_user);
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tollgate'::regnamespace AND p.prosecdef LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO tollgate_dispatch', f);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tollgate_serve, tollgate_worker, tollgate_dispatch', f);
  END LOOP;
  REVOKE CREATE ON SCHEMA tollgate FROM tollgate_dispatch;
END $$;
