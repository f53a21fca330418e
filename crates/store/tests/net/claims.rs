//! Claims: whatever ids tenants have and wherever the turn begins, everything that is ready is found, and nobody's many hide another's one.

use super::base::{connect, database, rows};

const SESSION: &str = "00000000-0000-0000-0000-000000000001";

/// One ready step for each of these tenants, and a session.
fn ready(tenants: &[&str]) -> String {
    let rows: Vec<String> =
        tenants.iter().map(|t| format!("(gen_random_uuid(), gen_random_uuid(), 1, 0, gen_random_uuid(), '{t}', 0)")).collect();
    format!(
        "TRUNCATE ready, held; INSERT INTO sessions VALUES ('{SESSION}', 9000000000000000000) ON CONFLICT DO NOTHING;
         INSERT INTO ready (step, run_id, kind, fence, reseller_id, tenant_id, mode) VALUES {}",
        rows.join(", ")
    )
}

#[tokio::test]
async fn every_tenant_is_found_wherever_the_turn_begins() {
    let base = database().await;
    let admin = connect(&base.admin()).await;
    let (lowest, middle, highest) =
        ("00000000-0000-0000-0000-000000000000", "7fffffff-ffff-ffff-ffff-ffffffffffff", "ffffffff-ffff-ffff-ffff-ffffffffffff");
    for from in [lowest, middle, highest] {
        for tenants in [&[lowest][..], &[middle], &[highest], &[lowest, middle, highest], &[lowest, lowest, lowest, lowest, lowest, lowest]]
        {
            admin.batch_execute(&ready(tenants)).await.unwrap();
            let claimed = rows(&admin, &format!("SELECT tenant_id FROM claim('{SESSION}', 32, 1, '{from}')")).await;
            assert_eq!(claimed.len(), tenants.len(), "from {from}: {tenants:?}");
        }
    }
    base.remove().await.unwrap();
}

#[tokio::test]
async fn one_tenants_many_do_not_hide_anothers_one() {
    let base = database().await;
    let admin = connect(&base.admin()).await;
    let (many, one) = ("11111111-1111-1111-1111-111111111111", "eeeeeeee-eeee-eeee-eeee-eeeeeeeeeeee");
    let mut tenants = vec![many; 500];
    tenants.push(one);
    for from in [many, one, "22222222-2222-2222-2222-222222222222"] {
        admin.batch_execute(&ready(&tenants)).await.unwrap();
        let claimed = rows(&admin, &format!("SELECT tenant_id FROM claim('{SESSION}', 32, 1, '{from}')")).await;
        assert_eq!(claimed.len(), 32, "what a turn leaves free goes to who has more");
        assert!(claimed.iter().any(|r| r[0] == one), "from {from}");
    }
    base.remove().await.unwrap();
}

/// A run with a step of its own and one of an action, and what stands beside it under the same limits.
const ONE_RUN: &str = "00000000-0000-0000-0000-00000000000a";
const ACTION: &str = "00000000-0000-0000-0000-00000000000b";
const TENANT: &str = "11111111-1111-1111-1111-111111111111";

#[tokio::test]
async fn a_claim_for_one_run_takes_its_steps_in_whatever_table_and_no_others() {
    let base = database().await;
    let admin = connect(&base.admin()).await;
    admin.batch_execute(&ready(&[TENANT, TENANT])).await.unwrap();
    let (wide, narrow) = ("repeat('c', 32)", "repeat('d', 32)");
    let limits = |of: &[&str]| format!("decode({}, 'hex')", of.iter().map(|l| format!("{l} || {l}")).collect::<Vec<_>>().join(" || "));
    let setup = format!(
        "INSERT INTO ready (step, run_id, kind, fence, reseller_id, tenant_id, mode) VALUES ('{ONE_RUN}', '{ONE_RUN}', 0, 0, '{TENANT}', '{TENANT}', 0);
         INSERT INTO limits (tenant_id, mode, class, max, reseller_id) VALUES ('{TENANT}', 0, {wide}::uuid, 1, '{TENANT}'), ('{TENANT}', 0, {narrow}::uuid, 1, '{TENANT}');
         INSERT INTO parked (limit_id, label, due, at, step, node, run_id, kind, fence, limits, reseller_id, tenant_id, mode) VALUES
           ({narrow}::uuid, 0, 1, 0, gen_random_uuid(), 0, gen_random_uuid(), 1, 0, {}, '{TENANT}', '{TENANT}', 0),
           ({narrow}::uuid, 0, 2, 0, '{ACTION}', 0, '{ONE_RUN}', 1, 3, {}, '{TENANT}', '{TENANT}', 0);
         INSERT INTO places (limit_id, step, node, reseller_id, tenant_id, mode) VALUES ({wide}::uuid, gen_random_uuid(), 0, '{TENANT}', '{TENANT}', 0)",
        limits(&[narrow]),
        limits(&[narrow, wide]),
    );
    admin.batch_execute(&setup).await.unwrap();
    let claim = |run: &str| format!("SELECT step, fence FROM claim_of('{SESSION}', '{run}', '{{{ONE_RUN},{ACTION}}}', 9, 1)");
    assert_eq!(rows(&admin, &claim(ACTION)).await, Vec::<Vec<String>>::new(), "what is another run's is left alone, however it is named");
    assert_eq!(rows(&admin, &claim(ONE_RUN)).await, [[ONE_RUN, "1"]], "the wide limit is full");
    admin.batch_execute("DELETE FROM places").await.unwrap();
    assert_eq!(rows(&admin, &claim(ONE_RUN)).await, [[ACTION, "4"]], "it came in past the one before it");
    assert_eq!(rows(&admin, "SELECT count(*) FROM places").await, [["2"]]);
    assert_eq!(rows(&admin, "SELECT count(*) FROM openings").await, [["0"]]);
    // Its end leaves both to others.
    admin.batch_execute(&format!("DELETE FROM held WHERE step = '{ACTION}'")).await.unwrap();
    assert_eq!(rows(&admin, "SELECT (SELECT count(*) FROM places), (SELECT count(*) FROM openings)").await, [["0", "2"]]);
    assert_eq!(rows(&admin, "SELECT (SELECT count(*) FROM ready), (SELECT count(*) FROM parked)").await, [["2", "1"]]);
    base.remove().await.unwrap();
}

#[tokio::test]
async fn two_claims_for_one_run_wait_for_nobody() {
    let base = database().await;
    let (one, other) = (connect(&base.admin()).await, connect(&base.admin()).await);
    let setup = format!(
        "INSERT INTO sessions VALUES ('{SESSION}', 9000000000000000000) ON CONFLICT DO NOTHING;
         INSERT INTO ready (step, run_id, kind, fence, reseller_id, tenant_id, mode) VALUES ('{ONE_RUN}', '{ONE_RUN}', 0, 0, '{TENANT}', '{TENANT}', 0)"
    );
    one.batch_execute(&setup).await.unwrap();
    let claim = format!("SELECT step FROM claim_of('{SESSION}', '{ONE_RUN}', '{{{ONE_RUN}}}', 9, 1)");
    one.batch_execute("BEGIN").await.unwrap();
    assert_eq!(rows(&one, &claim).await.len(), 1);
    // It is not committed: who comes beside it finds nothing and does not stand still.
    other.batch_execute("SET lock_timeout = '1ms'").await.unwrap();
    assert_eq!(rows(&other, &claim).await, Vec::<Vec<String>>::new());
    let everything = format!("SELECT step FROM claim('{SESSION}', 9, 1, '{TENANT}')");
    assert_eq!(rows(&other, &everything).await, Vec::<Vec<String>>::new());
    one.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(rows(&other, &claim).await.len(), 1);
    base.remove().await.unwrap();
}
