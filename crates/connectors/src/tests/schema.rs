//! Arguments against input schemas: all faults, placed, nothing long echoed.

use serde_json::json;
use tollgate_core::ports::ToolCaller as _;
use tollgate_core::spec::Effect;

use super::support::*;

#[test]
fn every_fault_has_its_pointer() {
    let mut spec = tool("t", Effect::Write, json!({"method": "POST", "url": "https://x.example/"}));
    spec.input = json!({"type": "object", "required": ["issue", "label"], "additionalProperties": false,
        "properties": {"issue": {"type": "integer"}, "label": {"type": "string", "maxLength": 3}, "list": {"items": {"type": "integer"}}}});
    let connectors = compile(connector("https://x.example"), vec![spec]).unwrap();
    assert_eq!(connectors.validate("shop.t", &json!({"issue": 1, "label": "bug"})), Ok(()));
    let faults = connectors.validate("shop.t", &json!({"issue": "1", "list": [1, "x"], "typo": 1})).unwrap_err();
    insta::assert_snapshot!(faults.join("\n"), @r#"
    `/`: "label" is a required property
    `/issue`: "1" is not of type "integer"
    `/list/1`: "x" is not of type "integer"
    `/`: Additional properties are not allowed ('typo' was unexpected)
    "#);
    let long = "secret-looking ".repeat(50);
    let faults = connectors.validate("shop.t", &json!({"issue": 1, "label": long})).unwrap_err();
    assert!(!faults[0].contains("secret-looking") && faults[0].starts_with("`/label`: "), "{faults:?}");
    let many = json!({"issue": 1, "label": "x", "list": vec!["x"; 500]});
    let faults = connectors.validate("shop.t", &many).unwrap_err();
    assert_eq!((faults.len(), faults.last().map(String::as_str)), (21, Some("and 480 more")));
    assert!(connectors.validate("shop.none", &json!({})).unwrap_err()[0].contains("`shop.none`"));
}

#[test]
fn schemas_cannot_reach_out_or_run_wild() {
    for (schema, says) in [
        (json!({"$ref": "https://evil.example/schema.json"}), "input"),
        (json!({"$ref": "file:///etc/passwd"}), "input"),
        (json!({"pattern": "(?=a)b"}), "input"),
        (json!({"type": 7}), "input"),
    ] {
        let mut spec = tool("t", Effect::Write, json!({"method": "POST", "url": "https://x.example/"}));
        spec.input = schema.clone();
        let faults = compile(connector("https://x.example"), vec![spec]).unwrap_err();
        assert_eq!((faults.len(), faults[0].place.as_str()), (1, says), "{schema}: {faults:?}");
    }
}
