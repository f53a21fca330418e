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
