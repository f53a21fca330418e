-- The functions of the dispatch role: steps are claimed, set aside, handed back and counted across tenants, and nobody sees their content.
-- Run after every migration, behind roles and row security; says all of it anew each time.

-- Gives places to what is parked under limits that may have room, tenant by tenant, and makes it ready. One at a time in a tenant: what is
-- counted here is changed by others only downwards.
CREATE OR REPLACE FUNCTION admit(p_sets bigint[], p_limit int, p_from uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET plan_cache_mode = force_generic_plan
  SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  labels CONSTANT bigint[] := -1::bigint || p_sets;
  whose uuid[];
  t uuid;
  l uuid;
  other bigint;
  p parked;
  top bigint;
  here bigint;
  full_one uuid;
  seen int;
  admitted int := 0;
  rounds int := 0;
BEGIN
  WHILE admitted < p_limit AND rounds < 16 LOOP
    rounds := rounds + 1;
    WITH RECURSIVE f(label, id, n) AS (
      SELECT x.label, (SELECT o.tenant_id FROM openings o WHERE o.label = x.label AND o.tenant_id > p_from ORDER BY o.tenant_id LIMIT 1), 1
      FROM unnest(labels) AS x(label)
      UNION ALL
      SELECT f.label, (SELECT o.tenant_id FROM openings o WHERE o.label = f.label AND o.tenant_id > f.id ORDER BY o.tenant_id LIMIT 1), f.n + 1
      FROM f WHERE f.id IS NOT NULL AND f.n < 16
    ), g(label, id, n) AS (
      SELECT x.label, (SELECT o.tenant_id FROM openings o WHERE o.label = x.label ORDER BY o.tenant_id LIMIT 1), 1 FROM unnest(labels) AS x(label)
      UNION ALL
      SELECT g.label, (SELECT o.tenant_id FROM openings o WHERE o.label = g.label AND o.tenant_id > g.id ORDER BY o.tenant_id LIMIT 1), g.n + 1
      FROM g WHERE g.id IS NOT NULL AND g.n < 16
    ), either AS (
      SELECT DISTINCT e.id FROM (SELECT f.id FROM f UNION ALL SELECT g.id FROM g) e WHERE e.id IS NOT NULL
    ) SELECT array_agg(e.id ORDER BY e.id) INTO whose FROM either e;
    EXIT WHEN whose IS NULL;
    FOREACH t IN ARRAY whose LOOP
      -- Two who wait for each other's tenants never end: the first round goes up, and the others wait for nobody.
      IF rounds = 1 THEN
        PERFORM pg_advisory_xact_lock(1819045732, hashtext(t::text));
      ELSE
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(1819045732, hashtext(t::text));
      END IF;
      FOR l IN
        WITH taken AS MATERIALIZED (
          SELECT r.label, r.n FROM unnest(labels) AS x(label) CROSS JOIN LATERAL (
            SELECT o.label, o.n FROM openings o WHERE o.label = x.label AND o.tenant_id = t ORDER BY o.n LIMIT 64
          ) r
        ), gone AS (
          DELETE FROM openings o USING taken s WHERE o.label = s.label AND o.tenant_id = t AND o.n = s.n RETURNING o.limit_id
        ) SELECT DISTINCT g.limit_id FROM gone g
      LOOP
        seen := 0;
        LOOP
          SELECT r.* INTO p FROM unnest(p_sets) AS x(label) CROSS JOIN LATERAL (
            SELECT q.* FROM parked q WHERE q.limit_id = l AND q.label = x.label ORDER BY q.due, q.n LIMIT 1 FOR UPDATE SKIP LOCKED
          ) r ORDER BY r.due, r.n LIMIT 1;
          IF NOT FOUND THEN
            -- What is left here is for workers with other labels.
            other := NULL;
            LOOP
              SELECT q.label INTO other FROM parked q WHERE q.limit_id = l AND q.label > COALESCE(other, -1) ORDER BY q.label LIMIT 1;
              EXIT WHEN NOT FOUND;
              IF other <> ALL (p_sets) AND NOT EXISTS (SELECT FROM openings o WHERE o.label = other AND o.tenant_id = t AND o.limit_id = l) THEN
                INSERT INTO openings (label, tenant_id, mode, reseller_id, limit_id)
                  SELECT q.label, q.tenant_id, q.mode, q.reseller_id, q.limit_id FROM parked q
                  WHERE q.limit_id = l AND q.label = other ORDER BY q.due, q.n LIMIT 1;
              END IF;
            END LOOP;
            EXIT;
          END IF;
          full_one := NULL;
          FOR i IN 0 .. length(p.limits) / 32 - 1 LOOP
            SELECT m.max INTO top FROM limits m WHERE m.tenant_id = t AND m.mode = p.mode
              AND m.class = encode(substring(p.limits FROM i * 32 + 1 FOR 16), 'hex')::uuid;
            CONTINUE WHEN NOT FOUND; -- it is no limit any more
            SELECT count(*) INTO here FROM (
              SELECT FROM places c WHERE c.limit_id = encode(substring(p.limits FROM i * 32 + 17 FOR 16), 'hex')::uuid LIMIT top
            ) c;
            IF here >= top THEN
              full_one := encode(substring(p.limits FROM i * 32 + 17 FOR 16), 'hex')::uuid;
              EXIT;
            END IF;
          END LOOP;
          EXIT WHEN full_one = l;
          seen := seen + 1;
          IF seen > 256 THEN
            -- Others' turn first.
            INSERT INTO openings (label, tenant_id, mode, reseller_id, limit_id) VALUES (-1, t, p.mode, p.reseller_id, l);
            EXIT;
          END IF;
          IF full_one IS NOT NULL THEN
            UPDATE parked q SET limit_id = full_one WHERE q.limit_id = l AND q.label = p.label AND q.due = p.due AND q.n = p.n;
            CONTINUE;
          END IF;
          DELETE FROM parked q WHERE q.limit_id = l AND q.label = p.label AND q.due = p.due AND q.n = p.n;
          FOR i IN 0 .. length(p.limits) / 32 - 1 LOOP
            INSERT INTO places (limit_id, step, node, reseller_id, tenant_id, mode)
              VALUES (encode(substring(p.limits FROM i * 32 + 17 FOR 16), 'hex')::uuid, p.step, p.node, p.reseller_id, t, p.mode)
              ON CONFLICT DO NOTHING;
          END LOOP;
          INSERT INTO ready (step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, due, at, limits)
            VALUES (p.step, p.node, p.run_id, p.kind, p.fence, p.reseller_id, t, p.mode, p.label, p.due, p.at, p.limits);
          admitted := admitted + 1;
        END LOOP;
      END LOOP;
    END LOOP;
  END LOOP;
END $$;

-- A limited step that ends its claim, or is given up while it is ready, leaves its places to others.
CREATE OR REPLACE FUNCTION vacate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  l uuid;
BEGIN
  IF TG_TABLE_NAME = 'ready' AND EXISTS (SELECT FROM held h WHERE h.step = OLD.step AND h.node = OLD.node) THEN
    RETURN NULL; -- it was claimed
  END IF;
  FOR i IN 0 .. length(OLD.limits) / 32 - 1 LOOP
    l := encode(substring(OLD.limits FROM i * 32 + 17 FOR 16), 'hex')::uuid;
    DELETE FROM places c WHERE c.limit_id = l AND c.step = OLD.step AND c.node = OLD.node;
    IF FOUND THEN
      INSERT INTO openings (label, tenant_id, mode, reseller_id, limit_id) VALUES (-1, OLD.tenant_id, OLD.mode, OLD.reseller_id, l);
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER vacate AFTER DELETE ON held FOR EACH ROW WHEN (OLD.limits IS NOT NULL) EXECUTE FUNCTION vacate();
CREATE OR REPLACE TRIGGER vacate AFTER DELETE ON ready FOR EACH ROW WHEN (OLD.limits IS NOT NULL) EXECUTE FUNCTION vacate();

-- Claims for a session, fair between tenants: a random start spreads the workers, and tenant by tenant in turn gives a few steps. Whoever
-- has many waits no longer than its turn, and what a whole turn leaves free goes to those who have more. Each set of labels that the session
-- covers has its share first. While a snapshot keeps rows that are gone, whoever claims says from where on it looks in each tenant's queue;
-- what hides before that is looked for when there is nothing behind it, and `p_all` says so. Answers also how many entries of the index were
-- walked over so far.
DROP FUNCTION IF EXISTS claim(uuid, int, bigint, uuid);
DROP FUNCTION IF EXISTS claim(uuid, int, bigint, uuid, bigint[], uuid[], bigint[], boolean);
CREATE FUNCTION claim(p_session uuid, p_limit int, p_now bigint, p_from uuid,
  p_labels bigint[] DEFAULT NULL, p_tenants uuid[] DEFAULT NULL, p_dues bigint[] DEFAULT NULL, p_all boolean DEFAULT true)
RETURNS TABLE (step uuid, node bigint, run_id uuid, kind smallint, fence bigint, reseller_id uuid, tenant_id uuid, mode smallint,
  label bigint, due bigint, walked bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET plan_cache_mode = force_generic_plan
  SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  have text;
  sets bigint[];
  lb bigint;
  turns int := 0;
  left_over int := p_limit;
  wanted int;
  begun int;
  share int; -- steps of one tenant at its turn: neighbours in the index
  width int; -- tenants looked at together
  here uuid;
  wrapped boolean;
  batch uuid[];
  first_due bigint[];
  first_n bigint[];
  turn uuid[];
  got int;
  began CONSTANT bigint := pg_stat_get_xact_tuples_returned('ready_pkey'::regclass);
  fronts_of uuid[]; -- tenants whose queue is looked at from somewhere on
  fronts_at bigint[];
  next uuid;
  front uuid;
BEGIN
  SELECT s.labels INTO have FROM sessions s WHERE s.id = p_session AND s.expires_at > p_now;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the session''s lease lapsed' USING ERRCODE = 'TG001';
  END IF;
  -- Nothing is taken up while a restored store's epoch holds all writes.
  IF EXISTS (SELECT FROM meta m WHERE m.k = 'epoch_held' AND m.v > 0) THEN
    RETURN;
  END IF;
  SELECT array_agg(s.id) INTO sets FROM label_sets s
    WHERE have IS NULL OR string_to_array(s.labels, ',') <@ string_to_array(have, ',');
  sets := 0::bigint || sets;
  IF EXISTS (SELECT FROM openings) THEN
    PERFORM admit(sets, p_limit, p_from);
  END IF;
  IF cardinality(sets) > 1 THEN
    SELECT array_agg(s.id ORDER BY random()) INTO sets FROM unnest(sets) AS s(id);
  END IF;
  -- With several sets each has its share first. What hides before a front is looked for when there is nothing behind it.
  WHILE left_over > 0 AND turns < 3 LOOP
    turns := turns + 1;
    CONTINUE WHEN turns = 2 AND cardinality(sets) = 1;
    EXIT WHEN turns = 3 AND (p_tenants IS NULL OR NOT p_all);
    FOREACH lb IN ARRAY sets LOOP
      EXIT WHEN left_over <= 0;
      fronts_of := NULL;
      IF turns < 3 AND p_tenants IS NOT NULL THEN
        SELECT array_agg(f.id ORDER BY f.id), array_agg(f.due ORDER BY f.id) INTO fronts_of, fronts_at
          FROM unnest(p_labels, p_tenants, p_dues) AS f(label, id, due) WHERE f.label = lb;
      END IF;
      wanted := CASE WHEN turns = 1 THEN LEAST(left_over, (p_limit + cardinality(sets) - 1) / cardinality(sets)) ELSE left_over END;
      begun := wanted;
      -- Where much that is gone lies before each tenant's first step, more of each are worth the way; the next claim begins with the next.
      share := CASE WHEN p_tenants IS NULL THEN 4 ELSE wanted END;
      width := GREATEST(1, wanted / share);
      here := p_from;
      wrapped := false;
      turn := '{}';
      WHILE wanted > 0 LOOP
        IF fronts_of IS NOT NULL THEN
          -- Between fronts by the index, and never over what lies before one.
          batch := NULL;
          first_due := NULL;
          first_n := NULL;
          WHILE COALESCE(cardinality(batch), 0) < width LOOP
            SELECT f.id INTO front FROM unnest(fronts_of) AS f(id) WHERE here IS NULL OR f.id > here ORDER BY f.id LIMIT 1;
            IF here IS NULL THEN
              SELECT r.tenant_id INTO next FROM ready r
                WHERE r.label = lb AND r.tenant_id < COALESCE(front, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY r.tenant_id LIMIT 1;
            ELSE
              SELECT r.tenant_id INTO next FROM ready r WHERE r.label = lb AND r.tenant_id > here
                AND r.tenant_id < COALESCE(front, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY r.tenant_id LIMIT 1;
            END IF;
            next := COALESCE(next, front);
            EXIT WHEN next IS NULL OR (wrapped AND next > p_from);
            batch := batch || next;
            here := next;
          END LOOP;
        ELSE
          -- Each with its first step: what is gone before it is passed over once.
          WITH RECURSIVE t(id, due, n, k) AS (
            (SELECT r.tenant_id, r.due, r.n, 1 FROM ready r WHERE here IS NULL AND r.label = lb ORDER BY r.tenant_id, r.due, r.n LIMIT 1)
            UNION ALL
            (SELECT r.tenant_id, r.due, r.n, 1 FROM ready r WHERE here IS NOT NULL AND r.label = lb AND r.tenant_id > here
              ORDER BY r.tenant_id, r.due, r.n LIMIT 1)
            UNION ALL
            SELECT x.tenant_id, x.due, x.n, t.k + 1 FROM t CROSS JOIN LATERAL (
              SELECT r.tenant_id, r.due, r.n FROM ready r WHERE r.label = lb AND r.tenant_id > t.id ORDER BY r.tenant_id, r.due, r.n LIMIT 1
            ) x WHERE t.k < width
          ) SELECT array_agg(t.id ORDER BY t.k), array_agg(t.due ORDER BY t.k), array_agg(t.n ORDER BY t.k) INTO batch, first_due, first_n
            FROM t WHERE NOT wrapped OR t.id <= p_from;
        END IF;
        IF batch IS NULL AND NOT wrapped THEN
          wrapped := true;
          here := NULL; -- the lowest there is
          CONTINUE;
        ELSIF batch IS NULL AND share < wanted AND cardinality(turn) > 0 THEN
          -- A whole turn: those who have more may give more.
          batch := turn;
          first_due := NULL;
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
            SELECT r.tenant_id, r.due, r.n FROM unnest(batch, first_due, first_n) AS f(id, due, n) CROSS JOIN LATERAL (
              SELECT q.tenant_id, q.due, q.n FROM ready q WHERE q.label = lb AND q.tenant_id = f.id
                AND (q.due, q.n) >= (COALESCE(f.due, fronts_at[array_position(fronts_of, f.id)], -9223372036854775808), COALESCE(f.n, 0))
                ORDER BY q.due, q.n LIMIT share FOR UPDATE SKIP LOCKED
            ) r LIMIT wanted
          ), d AS (
            DELETE FROM ready q USING s WHERE q.label = lb AND q.tenant_id = s.tenant_id AND q.due = s.due AND q.n = s.n RETURNING q.*
          )
          INSERT INTO held AS h (step, node, run_id, kind, fence, session, reseller_id, tenant_id, mode, label, due, limits)
            SELECT d.step, d.node, d.run_id, d.kind, d.fence + 1, p_session, d.reseller_id, d.tenant_id, d.mode, d.label, d.due, d.limits FROM d
            RETURNING h.step, h.node, h.run_id, h.kind, h.fence, h.reseller_id, h.tenant_id, h.mode, h.label, h.due,
              pg_stat_get_xact_tuples_returned('ready_pkey'::regclass) - began;
        GET DIAGNOSTICS got = ROW_COUNT;
        wanted := wanted - got;
        -- Many tenants with little each: look at as many as may be needed.
        IF got < 2 * width AND p_tenants IS NULL THEN
          width := GREATEST(1, wanted);
        END IF;
      END LOOP;
      left_over := left_over - (begun - wanted);
    END LOOP;
  END LOOP;
END $$;

-- Claims steps of one run for a session. `p_steps`: what they are of, the run itself and its actions. Their turn among other runs' does not
-- matter, and so what is parked takes its place under its limits past the others, if there is one; no opening is used up. What waits and
-- requires labels that the session lacks is answered without a fence.
CREATE OR REPLACE FUNCTION claim_of(p_session uuid, p_run uuid, p_steps uuid[], p_limit int, p_now bigint)
RETURNS TABLE (step uuid, node bigint, run_id uuid, kind smallint, fence bigint, reseller_id uuid, tenant_id uuid, mode smallint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET plan_cache_mode = force_generic_plan
  SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  have text;
  sets bigint[];
  whose uuid;
  p parked;
BEGIN
  SELECT s.labels INTO have FROM sessions s WHERE s.id = p_session AND s.expires_at > p_now;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the session''s lease lapsed' USING ERRCODE = 'TG001';
  END IF;
  IF EXISTS (SELECT FROM meta m WHERE m.k = 'epoch_held' AND m.v > 0) THEN
    RETURN;
  END IF;
  SELECT array_agg(s.id) INTO sets FROM label_sets s
    WHERE have IS NULL OR string_to_array(s.labels, ',') <@ string_to_array(have, ',');
  sets := 0::bigint || sets;
  SELECT r.tenant_id INTO whose FROM unnest(p_steps) AS x(step) CROSS JOIN LATERAL (
    SELECT q.tenant_id FROM parked q WHERE q.step = x.step AND q.run_id = p_run AND (q.label = ANY (sets)) IS TRUE LIMIT 1
  ) r LIMIT 1;
  IF FOUND THEN
    -- One at a time in a tenant, as `admit` does it: what is counted here is changed by others only downwards.
    PERFORM pg_advisory_xact_lock(1819045732, hashtext(whose::text));
    FOR p IN
      SELECT r.* FROM unnest(p_steps) AS x(step) CROSS JOIN LATERAL (
        SELECT q.* FROM parked q WHERE q.step = x.step AND q.run_id = p_run AND (q.label = ANY (sets)) IS TRUE FOR UPDATE SKIP LOCKED
      ) r ORDER BY r.due, r.n
    LOOP
      CONTINUE WHEN EXISTS (
        SELECT FROM generate_series(0, length(p.limits) / 32 - 1) AS g(i) CROSS JOIN LATERAL (
          SELECT m.max FROM limits m WHERE m.tenant_id = p.tenant_id AND m.mode = p.mode
            AND m.class = encode(substring(p.limits FROM g.i * 32 + 1 FOR 16), 'hex')::uuid
        ) m WHERE m.max <= (SELECT count(*) FROM (
          SELECT FROM places c WHERE c.limit_id = encode(substring(p.limits FROM g.i * 32 + 17 FOR 16), 'hex')::uuid LIMIT m.max
        ) c)
      );
      DELETE FROM parked q WHERE q.limit_id = p.limit_id AND q.label = p.label AND q.due = p.due AND q.n = p.n;
      INSERT INTO places (limit_id, step, node, reseller_id, tenant_id, mode)
        SELECT encode(substring(p.limits FROM g.i * 32 + 17 FOR 16), 'hex')::uuid, p.step, p.node, p.reseller_id, p.tenant_id, p.mode
        FROM generate_series(0, length(p.limits) / 32 - 1) AS g(i) ON CONFLICT DO NOTHING;
      INSERT INTO ready (step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, due, at, limits)
        VALUES (p.step, p.node, p.run_id, p.kind, p.fence, p.reseller_id, p.tenant_id, p.mode, p.label, p.due, p.at, p.limits);
    END LOOP;
  END IF;
  RETURN QUERY
    WITH s AS MATERIALIZED (
      SELECT r.label, r.tenant_id, r.due, r.n FROM unnest(p_steps) AS x(step) CROSS JOIN LATERAL (
        SELECT q.label, q.tenant_id, q.due, q.n FROM ready q
          WHERE q.step = x.step AND q.run_id = p_run AND (q.label = ANY (sets)) IS TRUE FOR UPDATE SKIP LOCKED
      ) r LIMIT p_limit
    ), d AS (
      DELETE FROM ready q USING s WHERE q.label = s.label AND q.tenant_id = s.tenant_id AND q.due = s.due AND q.n = s.n RETURNING q.*
    )
    INSERT INTO held AS h (step, node, run_id, kind, fence, session, reseller_id, tenant_id, mode, label, due, limits)
      SELECT d.step, d.node, d.run_id, d.kind, d.fence + 1, p_session, d.reseller_id, d.tenant_id, d.mode, d.label, d.due, d.limits FROM d
      RETURNING h.step, h.node, h.run_id, h.kind, h.fence, h.reseller_id, h.tenant_id, h.mode;
  RETURN QUERY
    SELECT r.step, r.node, r.run_id, r.kind, NULL::bigint, r.reseller_id, r.tenant_id, r.mode
    FROM unnest(p_steps) AS x(step) CROSS JOIN LATERAL (
      SELECT q.step, q.node, q.run_id, q.kind, q.reseller_id, q.tenant_id, q.mode FROM ready q
        WHERE q.step = x.step AND q.run_id = p_run AND (q.label = ANY (sets)) IS FALSE
      UNION ALL
      SELECT q.step, q.node, q.run_id, q.kind, q.reseller_id, q.tenant_id, q.mode FROM parked q
        WHERE q.step = x.step AND q.run_id = p_run AND (q.label = ANY (sets)) IS FALSE
    ) r;
END $$;

CREATE OR REPLACE FUNCTION pending() RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = tollgate, pg_temp STABLE AS $$ SELECT EXISTS (SELECT FROM ready) OR EXISTS (SELECT FROM openings) $$;

-- How much waits, of one tenant and mode or of all, by what its workers must have. Nothing is counted beyond `p_bound`, and the oldest is looked
-- for among the heads of no more tenants than 10,000.
CREATE OR REPLACE FUNCTION queue_depth(p_tenant uuid, p_mode smallint, p_bound bigint)
RETURNS TABLE (label bigint, ready bigint, parked bigint, held bigint, timers bigint, oldest bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET jit = off STABLE AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    WITH RECURSIVE sets(id) AS (SELECT 0::bigint UNION ALL SELECT s.id FROM label_sets s),
    p AS (SELECT x.label, count(*) AS n FROM (SELECT q.label, q.tenant_id, q.mode FROM parked q LIMIT p_bound) x
      WHERE p_tenant IS NULL OR (x.tenant_id = p_tenant AND x.mode = p_mode) GROUP BY x.label),
    h AS (SELECT x.label, count(*) AS n FROM (SELECT q.label, q.tenant_id, q.mode FROM held q LIMIT p_bound) x
      WHERE p_tenant IS NULL OR (x.tenant_id = p_tenant AND x.mode = p_mode) GROUP BY x.label),
    t AS (SELECT x.label, count(*) AS n FROM (SELECT q.label, q.tenant_id, q.mode FROM timers q LIMIT p_bound) x
      WHERE p_tenant IS NULL OR (x.tenant_id = p_tenant AND x.mode = p_mode) GROUP BY x.label),
    heads(label, tenant_id, at, n) AS (
      SELECT s.id, r.tenant_id, r.at, 1 FROM sets s CROSS JOIN LATERAL (
        SELECT q.tenant_id, q.at FROM ready q WHERE q.label = s.id ORDER BY q.tenant_id, q.due, q.n LIMIT 1) r
      WHERE p_tenant IS NULL
      UNION ALL
      SELECT f.label, r.tenant_id, r.at, f.n + 1 FROM heads f CROSS JOIN LATERAL (
        SELECT q.tenant_id, q.at FROM ready q WHERE q.label = f.label AND q.tenant_id > f.tenant_id ORDER BY q.tenant_id, q.due, q.n LIMIT 1) r
      WHERE f.n < 10000
    )
    SELECT s.id,
      CASE WHEN p_tenant IS NULL THEN (SELECT count(*) FROM (SELECT FROM ready q WHERE q.label = s.id LIMIT p_bound) x)
        ELSE (SELECT count(*) FROM (SELECT FROM ready q WHERE q.label = s.id AND q.tenant_id = p_tenant AND q.mode = p_mode LIMIT p_bound) x) END,
      COALESCE(p.n, 0), COALESCE(h.n, 0), COALESCE(t.n, 0),
      CASE WHEN p_tenant IS NULL THEN (SELECT min(f.at) FROM heads f WHERE f.label = s.id)
        ELSE (SELECT min(x.at) FROM (SELECT q.at FROM ready q WHERE q.label = s.id AND q.tenant_id = p_tenant AND q.mode = p_mode
          ORDER BY q.due, q.n LIMIT 100) x) END
    FROM sets s LEFT JOIN p ON p.label = s.id LEFT JOIN h ON h.label = s.id LEFT JOIN t ON t.label = s.id;
END $$;

-- Makes due timers ready; answers how many, and when the next is due.
CREATE OR REPLACE FUNCTION fire_timers(p_limit int, p_now bigint, OUT fired bigint, OUT next bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = tollgate, pg_temp SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  WITH due AS MATERIALIZED (SELECT t.at, t.step, t.node FROM timers t WHERE t.at <= p_now ORDER BY t.at, t.step, t.node LIMIT p_limit FOR UPDATE SKIP LOCKED),
  gone AS (
    DELETE FROM timers t USING due WHERE t.at = due.at AND t.step = due.step AND t.node = due.node
    RETURNING t.*, t.at - t.priority * 30000000::bigint AS place
  ),
  put AS (
    INSERT INTO ready (step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, due, at)
    SELECT g.step, g.node, g.run_id, g.kind, g.fence, g.reseller_id, g.tenant_id, g.mode, g.label, g.place, p_now FROM gone g
    WHERE g.limits IS NULL ORDER BY g.at, g.step, g.node RETURNING 1
  ),
  park AS (
    INSERT INTO parked (limit_id, label, due, at, step, node, run_id, kind, fence, limits, reseller_id, tenant_id, mode)
    SELECT encode(substring(g.limits FROM 17 FOR 16), 'hex')::uuid, g.label, g.place, p_now, g.step, g.node, g.run_id, g.kind, g.fence, g.limits,
      g.reseller_id, g.tenant_id, g.mode FROM gone g WHERE g.limits IS NOT NULL ORDER BY g.at, g.step, g.node RETURNING 1
  ),
  open AS (
    INSERT INTO openings (label, tenant_id, mode, reseller_id, limit_id)
    SELECT DISTINCT -1, g.tenant_id, g.mode, g.reseller_id, encode(substring(g.limits FROM 17 FOR 16), 'hex')::uuid FROM gone g
    WHERE g.limits IS NOT NULL RETURNING 1
  ) SELECT count(*) INTO fired FROM gone;
  SELECT min(t.at) INTO next FROM timers t;
END $$;

-- Hands back what a closing session held; without one, what lapsed sessions held. Each keeps its place in the queue; a limited one gives back
-- those under its limits and waits for new ones. A step that a commit is just ending is left to it.
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
  ), gone AS (
    -- Who hands a step back in peace did not die of it.
    DELETE FROM held h USING mine WHERE h.step = mine.step AND h.node = mine.node
    RETURNING h.*, h.fence - CASE WHEN p_session IS NULL THEN 0 ELSE 1 END AS last
  ),
  put AS (
    INSERT INTO ready (step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, due, at)
    SELECT g.step, g.node, g.run_id, g.kind, g.last, g.reseller_id, g.tenant_id, g.mode, g.label, g.due, p_now FROM gone g
    WHERE g.limits IS NULL ORDER BY g.step, g.node RETURNING 1
  ),
  park AS (
    INSERT INTO parked (limit_id, label, due, at, step, node, run_id, kind, fence, limits, reseller_id, tenant_id, mode)
    SELECT encode(substring(g.limits FROM 17 FOR 16), 'hex')::uuid, g.label, g.due, p_now, g.step, g.node, g.run_id, g.kind, g.last, g.limits,
      g.reseller_id, g.tenant_id, g.mode FROM gone g WHERE g.limits IS NOT NULL ORDER BY g.step, g.node RETURNING 1
  ),
  open AS (
    INSERT INTO openings (label, tenant_id, mode, reseller_id, limit_id)
    SELECT DISTINCT -1, g.tenant_id, g.mode, g.reseller_id, encode(substring(g.limits FROM 17 FOR 16), 'hex')::uuid FROM gone g
    WHERE g.limits IS NOT NULL RETURNING 1
  ) SELECT count(*) INTO n FROM gone;
  IF p_session IS NOT NULL THEN
    DELETE FROM sessions s WHERE s.id = p_session AND NOT EXISTS (SELECT FROM held h WHERE h.session = s.id);
    UPDATE sessions s SET expires_at = 0 WHERE s.id = p_session;
  ELSE
    DELETE FROM sessions s WHERE s.expires_at <= p_now AND NOT EXISTS (SELECT FROM held h WHERE h.session = s.id);
  END IF;
  RETURN n;
END $$;

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
