//! Redirects are answers, never instructions.

use serde_json::json;
use tollgate_core::attempt::AttemptOutcome::{Ambiguous, Rejected};
use tollgate_core::spec::AuthSpec;

use super::support::*;

#[tokio::test]
async fn credentials_never_follow_a_redirect() {
    for status in [301_u16, 302, 303, 307, 308] {
        let thief = Remote::json(200, json!({"stolen": true})).await;
        let to = format!("{}/orders", thief.base());
        let remote = Remote::start(move |_| (status, vec![("location", to.clone())], vec![])).await;
        let mut spec = connector(&remote.base());
        spec.auth = AuthSpec::Bearer { secret: "token".into() };
        let connectors = compile(spec, vec![post(), get()]).unwrap();
        let write = run(&connectors, "shop.order", &json!({"item": 1}), Some("canary-secret"), PLENTY).await;
        assert!(matches!(&write, Ambiguous { status: Some(s), message } if *s == status && message.contains("not followed")), "{write:?}");
        let read = run(&connectors, "shop.look", &json!({}), Some("canary-secret"), PLENTY).await;
        assert!(matches!(read, Rejected { retryable: false, .. }), "{read:?}");
        assert_eq!((thief.seen().len(), remote.seen().len()), (0, 2));
    }
}
