-- Partitions and retention. Run after every migration, behind the roles and row security; says all of it anew each time.
--
-- For whoever migrates and nobody else: only the tables' owner makes and drops partitions, and nobody who serves may take anything of the
-- ledger away. A month is a partition; what finds none lies in the default one.

CREATE OR REPLACE FUNCTION keep_floor(p_at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE SET search_path = tollgate, pg_temp AS $$
  SELECT (lpad(to_hex((extract(epoch FROM p_at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

CREATE OR REPLACE FUNCTION keep_time(p_id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE SET search_path = tollgate, pg_temp AS $$
  SELECT to_timestamp(('x' || lpad(left(replace(p_id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0) $$;

CREATE OR REPLACE FUNCTION keep_instant(p_micros bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE SET search_path = tollgate, pg_temp AS $$
  SELECT to_timestamp(p_micros / 1000000.0) $$;

-- Row security binds the owner too: for the rest of the transaction every tenant there is.
CREATE OR REPLACE FUNCTION keep_everywhere() RETURNS void LANGUAGE sql SET search_path = tollgate, pg_temp AS $$
  SELECT set_config('tollgate.live', COALESCE('{' || (SELECT string_agg(tenant_id::text, ',') FROM scopes WHERE mode = 0) || '}', ''), true),
         set_config('tollgate.test', COALESCE('{' || (SELECT string_agg(tenant_id::text, ',') FROM scopes WHERE mode = 1) || '}', ''), true) $$;

-- One month of one table: what the default partition holds of it moves over.
CREATE OR REPLACE FUNCTION keep_month(p_table text, p_month timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = tollgate, pg_temp AS $$
DECLARE
  name text := p_table || '_' || to_char(p_month AT TIME ZONE 'UTC', 'YYYYMM');
  rest text := p_table || '_rest';
  first uuid := keep_floor(p_month);
  past uuid := keep_floor((p_month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
  key text;
  moved bigint;
  p record;
BEGIN
  SELECT a.attname INTO key FROM pg_partitioned_table x JOIN pg_attribute a ON a.attrelid = x.partrelid AND a.attnum = x.partattrs[0]
    WHERE x.partrelid = format('tollgate.%I', p_table)::regclass;
  IF to_regclass(format('tollgate.%I', name)) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', p_table);
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', name, p_table);
  EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE %I >= %L AND %I < %L', name, rest, key, first, key, past);
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved > 0 THEN
    EXECUTE format('DELETE FROM %I WHERE %I >= %L AND %I < %L', rest, key, first, key, past);
  END IF;
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', p_table, name, first, past);
  EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', name);
  EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
  FOR p IN SELECT policyname, qual, with_check FROM pg_policies WHERE schemaname = 'tollgate' AND tablename = p_table LOOP
    EXECUTE format('CREATE POLICY %I ON %I USING (%s) WITH CHECK (%s)', p.policyname, name, p.qual, p.with_check);
  END LOOP;
  RETURN true;
END $$;

-- The months of every table that has any: those that lie in a default partition, this one and the next two.
CREATE OR REPLACE FUNCTION keep_partitions(p_now bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  t text;
  key text;
  m timestamptz;
  until timestamptz := date_trunc('month', keep_instant(p_now), 'UTC');
  made bigint := 0;
BEGIN
  PERFORM keep_everywhere();
  FOR t, key IN
    SELECT c.relname, a.attname FROM pg_class c JOIN pg_partitioned_table p ON p.partrelid = c.oid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
    WHERE c.relnamespace = 'tollgate'::regnamespace AND p.partstrat = 'r' AND to_regclass(format('tollgate.%I', c.relname || '_rest')) IS NOT NULL
  LOOP
    FOR m IN EXECUTE format('SELECT DISTINCT date_trunc(''month'', keep_time(%I), ''UTC'') FROM %I UNION '
      || 'SELECT generate_series(%L::timestamptz, %L::timestamptz + interval ''2 months'', interval ''1 month'')', key, t || '_rest', until, until)
    LOOP
      IF keep_month(t, date_trunc('month', m, 'UTC')) THEN
        made := made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;

-- Partitions of a table that end before an instant, oldest first.
CREATE OR REPLACE FUNCTION keep_past(p_table text, p_before timestamptz)
RETURNS TABLE (name text, first uuid, past uuid) LANGUAGE sql STABLE SET search_path = tollgate, pg_temp AS $$
  SELECT x.name, x.first, x.past FROM (
    SELECT c.relname::text AS name, b.m[1]::uuid AS first, b.m[2]::uuid AS past
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([0-9a-f-]+)''\) TO \(''([0-9a-f-]+)''\)') AS m) b
    WHERE i.inhparent = ('tollgate.' || quote_ident(p_table))::regclass AND b.m IS NOT NULL
  ) x WHERE x.past <= keep_floor(p_before) ORDER BY x.first $$;

-- Whether a journal names a blob, found by the index on the place where results hold its name.
CREATE OR REPLACE FUNCTION keep_is_named(p_blob blobs) RETURNS boolean LANGUAGE sql STABLE SET search_path = tollgate, pg_temp AS $$
  SELECT EXISTS (SELECT FROM journal j WHERE substr(j.result, 1, 8) = '\x7b22626c6f62223a'::bytea
    AND substr(j.result, 22, 64) = convert_to(encode((p_blob).digest, 'hex'), 'UTF8')
    AND j.tenant_id = (p_blob).tenant_id AND j.mode = (p_blob).mode) $$;

-- One slice. Answers how many are gone, and the last id that was looked at when there may be more.
CREATE OR REPLACE FUNCTION keep_runs(p_before bigint, p_from uuid, p_limit int, p_final smallint[], p_draft smallint, p_done smallint,
  OUT gone bigint, OUT last uuid)
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  seen uuid[];
  ids uuid[];
BEGIN
  PERFORM keep_everywhere();
  SELECT array_agg(x.id ORDER BY x.id) INTO seen FROM (
    SELECT r.id FROM runs r WHERE r.id > p_from AND r.id < keep_floor(keep_instant(p_before)) ORDER BY r.id LIMIT p_limit) x;
  SELECT array_agg(x.id) INTO ids FROM (
    SELECT r.id FROM runs r WHERE r.id = ANY (seen) AND r.state = ANY (p_final) AND r.updated_at < p_before
      AND (r.state = p_draft OR NOT EXISTS (SELECT FROM actions a WHERE a.run_id = r.id AND a.state <> p_done))
    FOR UPDATE SKIP LOCKED) x;
  DELETE FROM actions a WHERE a.run_id = ANY (ids);
  DELETE FROM journal j WHERE j.run_id = ANY (ids);
  DELETE FROM graphs g WHERE g.run_id = ANY (ids);
  DELETE FROM outbox_runs o WHERE o.run_id = ANY (ids);
  DELETE FROM runs r WHERE r.id = ANY (ids);
  gone := COALESCE(cardinality(ids), 0);
  last := CASE WHEN cardinality(seen) = p_limit THEN seen[p_limit] END;
END $$;

-- Blobs of the next digests that no journal names. Whoever keeps a blob names it in the same transaction: those that run are waited for,
-- the others wait, so that none is named that goes.
CREATE OR REPLACE FUNCTION keep_blobs(p_from uuid, p_limit int, OUT gone bigint, OUT last uuid)
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  first bytea := CASE WHEN p_from = '00000000-0000-0000-0000-000000000000' THEN ''::bytea
    ELSE uuid_send(p_from) || '\xffffffffffffffffffffffffffffffff'::bytea END;
  past bytea;
  seen bigint;
  unnamed boolean;
BEGIN
  PERFORM keep_everywhere();
  gone := 0;
  SELECT x.digest, x.n INTO past, seen FROM (
    SELECT b.digest, row_number() OVER (ORDER BY b.digest) AS n FROM blobs b WHERE b.digest > first ORDER BY b.digest LIMIT p_limit) x
    ORDER BY x.n DESC LIMIT 1;
  IF past IS NULL THEN
    RETURN;
  END IF;
  last := CASE WHEN seen = p_limit THEN encode(substr(past, 1, 16), 'hex')::uuid END;
  SELECT EXISTS (SELECT FROM blobs b WHERE b.digest > first AND b.digest <= past AND NOT keep_is_named(b)) INTO unnamed;
  IF unnamed THEN
    LOCK TABLE blobs IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM blobs b WHERE b.digest > first AND b.digest <= past AND NOT keep_is_named(b);
    GET DIAGNOSTICS gone = ROW_COUNT;
  END IF;
END $$;

CREATE OR REPLACE FUNCTION keep_approvals(p_before bigint, p_from uuid, p_limit int, OUT gone bigint, OUT last uuid)
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  seen uuid[];
  ids uuid[];
BEGIN
  PERFORM keep_everywhere();
  SELECT array_agg(x.id ORDER BY x.id) INTO seen FROM (
    SELECT p.id FROM approvals p WHERE p.id > p_from AND p.id < keep_floor(keep_instant(p_before)) ORDER BY p.id LIMIT p_limit) x;
  SELECT array_agg(x.id) INTO ids FROM (
    SELECT p.id FROM approvals p WHERE p.id = ANY (seen) AND p.status <> 'open' AND p.created_at < p_before
      AND NOT EXISTS (SELECT FROM actions a WHERE a.id = p.action)
    FOR UPDATE SKIP LOCKED) x;
  DELETE FROM approval_queues q WHERE q.approval = ANY (ids);
  DELETE FROM approvals p WHERE p.id = ANY (ids);
  gone := COALESCE(cardinality(ids), 0);
  last := CASE WHEN cardinality(seen) = p_limit THEN seen[p_limit] END;
END $$;

-- Changes of the next positions. The newest of each tenant and mode stays: the publisher counts on from the newest of all, and who follows a
-- quiet tenant finds out that nothing came after.
CREATE OR REPLACE FUNCTION keep_changes(p_before bigint, p_from bigint, p_limit int, OUT gone bigint, OUT last bigint)
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  seen bigint;
  oldest bigint;
  past bigint;
BEGIN
  PERFORM keep_everywhere();
  gone := 0;
  SELECT max(x.pos), min(x.at), count(*) INTO past, oldest, seen FROM (
    SELECT o.pos, o.at FROM outbox o WHERE o.pos > p_from ORDER BY o.pos LIMIT p_limit) x;
  IF past IS NULL OR oldest >= p_before THEN
    RETURN;
  END IF;
  DELETE FROM outbox o WHERE o.pos > p_from AND o.pos <= past AND o.at < p_before
    AND EXISTS (SELECT FROM outbox n WHERE n.pos > o.pos AND n.tenant_id = o.tenant_id AND n.mode = o.mode);
  GET DIAGNOSTICS gone = ROW_COUNT;
  last := CASE WHEN seen = p_limit THEN past END;
END $$;

CREATE OR REPLACE FUNCTION keep_replays(p_before bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  n bigint;
BEGIN
  PERFORM keep_everywhere();
  DELETE FROM replays r WHERE r.created_at < p_before AND r.next >= r.end_at
    AND r.offering < (SELECT max(o.offering) FROM replays o WHERE o.tenant_id = r.tenant_id AND o.mode = r.mode);
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$;

CREATE OR REPLACE FUNCTION keep_checkpoints(p_before bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  n bigint;
BEGIN
  PERFORM keep_everywhere();
  WITH dated AS (
    SELECT c.tenant_id, c.mode, c.size, (c.signed::jsonb #>> '{checkpoint,at}') AS at FROM checkpoints c
  ), followed AS (
    SELECT d.*, lead(d.at) OVER (PARTITION BY d.tenant_id, d.mode ORDER BY d.size) AS then FROM dated d
  )
  DELETE FROM checkpoints c USING followed f
  WHERE c.tenant_id = f.tenant_id AND c.mode = f.mode AND c.size = f.size AND left(f.at, 10) = left(f.then, 10)
    AND f.at::timestamptz < keep_instant(p_before);
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$;

-- Months of events that nothing open needs: one month in one transaction. Replays hold still meanwhile. The last position stays, since
-- the publisher counts on from it.
CREATE OR REPLACE FUNCTION keep_events(p_before bigint, p_final smallint[], OUT gone bigint, OUT more boolean)
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  p record;
  busy boolean;
BEGIN
  gone := 0;
  more := false;
  PERFORM keep_everywhere();
  LOCK TABLE replays IN SHARE MODE;
  IF EXISTS (SELECT FROM replays r WHERE r.next < r.end_at) THEN
    RETURN;
  END IF;
  FOR p IN SELECT * FROM keep_past('events', keep_instant(p_before)) LOOP
    SELECT EXISTS (SELECT FROM runs r WHERE r.event_id >= p.first AND r.event_id < p.past AND r.state <> ALL (p_final))
        OR EXISTS (SELECT FROM unpublished u WHERE u.event >= p.first AND u.event < p.past) INTO busy;
    CONTINUE WHEN busy;
    EXECUTE format('SELECT count(*) FROM %I', p.name) INTO gone;
    DELETE FROM event_positions e WHERE e.event >= p.first AND e.event < p.past AND e.pos < (SELECT max(pos) FROM event_positions);
    EXECUTE format('DROP TABLE %I', p.name);
    more := true;
    RETURN;
  END LOOP;
END $$;

-- Archived entries of one log. What follows them is proved by the tiles over them, which must be there.
CREATE OR REPLACE FUNCTION keep_entries(p_tenant uuid, p_mode smallint, p_from bigint, p_to bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  n bigint;
BEGIN
  PERFORM keep_everywhere();
  IF p_from IS DISTINCT FROM (SELECT min(p.pos) FROM positions p WHERE p.tenant_id = p_tenant AND p.mode = p_mode) OR p_to % 256 <> 0 THEN
    RAISE EXCEPTION 'the oldest entry of the log is another' USING ERRCODE = 'TG002';
  END IF;
  IF p_to / 256 - p_from / 256 <> (SELECT count(*) FROM tiles t WHERE t.tenant_id = p_tenant AND t.mode = p_mode AND t.level = 8
      AND t.idx >= p_from / 256 AND t.idx < p_to / 256) THEN
    RAISE EXCEPTION 'the log lacks tiles';
  END IF;
  DELETE FROM entries e USING positions p
  WHERE p.tenant_id = p_tenant AND p.mode = p_mode AND p.pos >= p_from AND p.pos < p_to AND e.id = p.entry;
  DELETE FROM positions p WHERE p.tenant_id = p_tenant AND p.mode = p_mode AND p.pos >= p_from AND p.pos < p_to;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$;

-- Row security binds the owner too: for the rest of the transaction one tenant, in both modes.
CREATE OR REPLACE FUNCTION keep_only(p_tenant uuid) RETURNS void LANGUAGE sql SET search_path = tollgate, pg_temp AS $$
  SELECT set_config('tollgate.live', '{' || p_tenant || '}', true), set_config('tollgate.test', '{' || p_tenant || '}', true) $$;

-- How much of a tenant's work is not over, what was not told yet included: told later, it would leave rows behind those that went.
CREATE OR REPLACE FUNCTION keep_tenant_open(p_tenant uuid, p_final smallint[], p_draft smallint, p_done smallint) RETURNS bigint
LANGUAGE plpgsql SET search_path = tollgate, pg_temp AS $$
BEGIN
  PERFORM keep_only(p_tenant);
  RETURN (SELECT count(*) FROM runs r WHERE r.tenant_id = p_tenant AND r.state <> ALL (p_final))
    + (SELECT count(*) FROM actions a JOIN runs r ON r.id = a.run_id WHERE a.tenant_id = p_tenant AND a.state <> p_done AND r.state <> p_draft)
    + (SELECT count(*) FROM replays p WHERE p.tenant_id = p_tenant AND p.next < p.end_at)
    + (SELECT count(*) FROM unpublished u WHERE u.tenant_id = p_tenant) + (SELECT count(*) FROM outbox_queue q WHERE q.tenant_id = p_tenant);
END $$;

-- How many entries of a tenant's logs no signed checkpoint covers.
CREATE OR REPLACE FUNCTION keep_tenant_unsigned(p_tenant uuid) RETURNS bigint
LANGUAGE plpgsql SET search_path = tollgate, pg_temp AS $$
BEGIN
  PERFORM keep_only(p_tenant);
  RETURN (SELECT count(*) FROM unsequenced u WHERE u.tenant_id = p_tenant) + COALESCE((SELECT sum(GREATEST(0,
      (SELECT COALESCE(max(p.pos) + 1, 0) FROM positions p WHERE p.tenant_id = l.tenant_id AND p.mode = l.mode)
      - (SELECT COALESCE(max(c.size), 0) FROM checkpoints c WHERE c.tenant_id = l.tenant_id AND c.mode = l.mode)))
    FROM logs l WHERE l.tenant_id = p_tenant), 0);
END $$;

-- Takes a removed tenant's rows out of one stretch of a table's file, and says where the next begins: a partition by its number, and a block.
-- Of a table with positions the tenant's newest row may stay, since they count on from it; `p_emptied` takes its content.
CREATE OR REPLACE FUNCTION keep_tenant(p_tenant uuid, p_table text, p_part bigint, p_block bigint, p_newest boolean, p_emptied text,
  OUT gone bigint, OUT next_part bigint, OUT next_block bigint)
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  stretch constant bigint := 2000;
  whole regclass := to_regclass(format('tollgate.%I', p_table));
  part record;
  first bigint;
  past bigint;
  positions boolean;
  but text := '';
BEGIN
  PERFORM keep_only(p_tenant);
  gone := 0;
  SELECT c.oid::bigint AS n, c.relname AS name, pg_relation_size(c.oid) / current_setting('block_size')::bigint AS blocks INTO part
    FROM pg_class c WHERE c.relkind = 'r' AND c.oid::bigint >= p_part
      AND (c.oid = whole OR c.oid IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = whole))
    ORDER BY c.oid LIMIT 1;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  first := CASE WHEN part.n = p_part THEN p_block ELSE 0 END;
  past := first + stretch;
  positions := p_newest AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = whole AND a.attname = 'pos' AND NOT a.attisdropped);
  IF positions THEN
    but := format(' AND t.pos < (SELECT max(n.pos) FROM %I n WHERE n.tenant_id = t.tenant_id AND n.mode = t.mode)', p_table);
  END IF;
  EXECUTE format('DELETE FROM %I t WHERE t.tenant_id = $1 AND t.ctid >= $2 AND t.ctid < $3', part.name) || but
    USING p_tenant, format('(%s,0)', first)::tid, format('(%s,0)', past)::tid;
  GET DIAGNOSTICS gone = ROW_COUNT;
  IF past < part.blocks THEN
    next_part := part.n;
    next_block := past;
    RETURN;
  END IF;
  IF positions AND p_emptied <> '' THEN
    EXECUTE format('UPDATE %I SET %s WHERE tenant_id = $1', part.name, p_emptied) USING p_tenant;
  END IF;
  next_part := part.n + 1;
  next_block := 0;
END $$;

-- Drops months that are over and empty, and writes those anew of which few rows are left among holes; answers bytes.
CREATE OR REPLACE FUNCTION keep_give_back(p_now bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = tollgate, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  t text;
  p record;
  few constant int := 2000;
  there bigint;
  size bigint;
  bytes bigint := 0;
BEGIN
  PERFORM keep_everywhere();
  FOR t IN
    SELECT c.relname FROM pg_class c JOIN pg_partitioned_table x ON x.partrelid = c.oid
    WHERE c.relnamespace = 'tollgate'::regnamespace AND x.partstrat = 'r'
  LOOP
    FOR p IN SELECT * FROM keep_past(t, keep_instant(p_now)) LOOP
      size := pg_total_relation_size(format('tollgate.%I', p.name)::regclass);
      EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT %s) x', p.name, few + 1) INTO there;
      CONTINUE WHEN there > few OR (there > 0 AND size < 1048576 + there * 8192);
      EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', t);
      EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT %s) x', p.name, few + 1) INTO there;
      CONTINUE WHEN there > few;
      EXECUTE format('CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM %I', p.name);
      EXECUTE format('DROP TABLE %I', p.name);
      IF there > 0 THEN
        PERFORM keep_month(t, date_trunc('month', keep_time(p.first), 'UTC'));
        EXECUTE format('INSERT INTO %I SELECT * FROM pg_temp.kept', t);
      END IF;
      DROP TABLE pg_temp.kept;
      bytes := bytes + size - COALESCE(pg_total_relation_size(to_regclass(format('tollgate.%I', p.name))), 0);
    END LOOP;
  END LOOP;
  RETURN bytes;
END $$;

DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tollgate'::regnamespace AND p.proname LIKE 'keep\_%' LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, tollgate_serve, tollgate_worker, tollgate_dispatch', f);
  END LOOP;
END $$;
SELECT keep_partitions((extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
