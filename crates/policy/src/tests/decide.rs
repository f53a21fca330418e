//! Policies times calls: the verdict, and what is recorded of it.

use serde_json::json;
use tollgate_core::canon::canonical;
use tollgate_core::hash::Digest;
use tollgate_core::ports::PolicyEngine;
use tollgate_core::spec::{Effect, Grade};
use tollgate_core::verdict::{DecisionReason as R, PolicyRequest, Principal, Verdict as V};

use super::{Call, call, compile, recomputes, source, tool, tools};
use crate::Policies;

const FREE: &str = "@id(\"reads\") permit (principal, action in Action::\"read\", resource);";
const ASK: &str = r#"
@id("refunds") permit (principal, action == Action::"shop.refund", resource) when { context.args.qty < 10 };
@id("big") @require_approval("finance") permit (principal, action == Action::"shop.refund", resource)
  when { context has value && context.value.amount_minor > 5000 && context.value.unit == "EUR" };
@id("bulk") @require_approval permit (principal, action == Action::"shop.refund", resource) when { context.args.qty >= 5 };
@id("never") forbid (principal, action, resource == Entity::"shop:order:frozen");
"#;

fn refund(qty: i64) -> Call {
    call("shop.refund", json!({"order": "o1", "qty": qty})).on("shop:order:1")
}

#[test]
fn the_table_of_verdicts() {
    let billing = || Principal::Operator("billing".to_owned());
    let robot = || Principal::ServiceAccount("triage".to_owned());
    let only_triage = r#"@id("t") permit (principal == Operator::"triage", action in Action::"tracker.*", resource);"#;
    let label = || call("tracker.add_label", json!({"label": "bug"})).on("tracker:issue:1");
    type Row = (&'static str, Call, V, R, &'static [&'static str], &'static [&'static str]);
    let table: Vec<Row> = vec![
        ("", refund(1), V::Block, R::NotPermitted, &[], &[]),
        (FREE, call("shop.get", json!({})), V::Allow, R::Permitted, &["reads"], &[]),
        (FREE, call("shop.get", json!(null)), V::Allow, R::Permitted, &["reads"], &[]),
        (FREE, refund(1), V::Block, R::NotPermitted, &[], &[]),
        (ASK, refund(1), V::Allow, R::Permitted, &["refunds"], &[]),
        (ASK, refund(1).worth(5000), V::Allow, R::Permitted, &["refunds"], &[]),
        (ASK, refund(1).worth(5001), V::RequireApproval, R::ApprovalRequired, &["big", "refunds"], &["finance"]),
        (ASK, refund(7).worth(5001), V::RequireApproval, R::ApprovalRequired, &["big", "bulk", "refunds"], &["default", "finance"]),
        (ASK, refund(12), V::RequireApproval, R::ApprovalRequired, &["bulk"], &["default"]),
        (ASK, refund(7).worth(9999).on("shop:order:frozen"), V::Block, R::Forbidden, &["never"], &[]),
        (only_triage, label(), V::Allow, R::Permitted, &["t"], &[]),
        (only_triage, label().by(billing()), V::Block, R::NotPermitted, &[], &[]),
        (only_triage, label().by(robot()), V::Block, R::NotPermitted, &[], &[]),
        (only_triage, refund(1), V::Block, R::NotPermitted, &[], &[]),
        (
            r#"@id("c") permit (principal, action in [Action::"class:customer_facing", Action::"shop.get"], resource) when { context.classes.contains("customer_facing") && context.effect == "write" && context.grade == "at_most_once" };"#,
            label(),
            V::Allow,
            R::Permitted,
            &["c"],
            &[],
        ),
        (
            r#"@id("s") permit (principal is System, action, resource);"#,
            refund(1).by(Principal::System("sweep".to_owned())),
            V::Allow,
            R::Permitted,
            &["s"],
            &[],
        ),
        (
            r#"@id("r") permit (principal, action, resource == Entity::"shop");"#,
            call("shop.get", json!({})),
            V::Allow,
            R::Permitted,
            &["r"],
            &[],
        ),
    ];
    for (text, call, verdict, reason, determining, queues) in table {
        let decision = call.ask(&compile(text).unwrap());
        let label = format!("{text} asked by {:?} with {}", call.principal, call.args);
        assert_eq!((decision.verdict, decision.reason), (verdict, reason), "{label}");
        assert_eq!(decision.determining, determining, "{label}");
        assert_eq!(decision.queues, queues, "{label}");
        assert_eq!(decision.detail, None, "{label}");
    }
}

#[test]
fn a_forbid_that_fails_blocks_and_is_named() {
    let text = r#"@id("all") permit (principal, action, resource);
        @id("over") forbid (principal, action == Action::"shop.refund", resource) when { context.args.qty * 9223372036854775807 > 0 };"#;
    let policies = compile(text).unwrap();
    let decision = refund(2).ask(&policies);
    assert_eq!((decision.verdict, decision.reason), (V::Block, R::PolicyError));
    assert_eq!(decision.determining, ["over"]);
    insta::assert_snapshot!(decision.detail.unwrap(), @"policy `over` failed: integer overflow while attempting to multiply the values `2` and `9223372036854775807`");
    assert_eq!(refund(0).ask(&policies).verdict, V::Allow);
}

#[test]
fn an_error_also_closes_what_a_permit_allows_and_a_forbid_blocks() {
    let text = r#"@id("all") permit (principal, action, resource); @id("no") forbid (principal, action, resource);
        @id("e") permit (principal, action == Action::"shop.refund", resource) when { context.args.qty + 9223372036854775807 > 0 };"#;
    let decision = refund(1).ask(&compile(text).unwrap());
    assert_eq!((decision.reason, decision.determining), (R::PolicyError, vec!["e".to_owned()]));
}

#[test]
fn values_that_do_not_fit_are_closed_and_said() {
    let policies = compile("@id(\"all\") permit (principal, action, resource);").unwrap();
    let with = |extra: serde_json::Value| {
        let mut args = json!({"order": "o", "qty": 1});
        args.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        call("shop.refund", args)
    };
    for fits in [
        json!({"rate": 1.2345}),
        json!({"qty": 1_i64 << 53}),
        json!({"note": null, "tags": ["a", "a"]}),
        json!({"meta": {"x": [null, 1e300]}}),
    ] {
        assert_eq!(with(fits.clone()).ask(&policies).verdict, V::Allow, "{fits}");
    }
    let said: Vec<String> = [
        json!({"rate": 1.23456}),
        json!({"rate": 1e15}),
        json!({"qty": (1_i64 << 53) + 1}),
        json!({"qty": u64::MAX}),
        json!({"qty": 1.5}),
        json!({"qty": null}),
        json!({"tags": ["a", 1]}),
        json!({"order": {}}),
    ]
    .into_iter()
    .map(|bad| {
        let decision = with(bad).ask(&policies);
        assert_eq!((decision.verdict, decision.reason), (V::Block, R::PolicyError));
        assert_eq!(decision.determining, Vec::<String>::new());
        decision.detail.unwrap()
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    `args.rate` is 1.23456, which has more than the 4 decimal places that policies can compare
    `args.rate` is 1000000000000000.0, beyond what a decimal holds (±922337203685477.5807)
    `args.qty` is 9007199254740993, an integer beyond 2^53 that policies cannot see: send it as a string
    `args.qty` is 18446744073709551615, an integer beyond 2^53 that policies cannot see: send it as a string
    `args.qty` is 1.5, not an integer
    `args.qty` is null, not an integer
    `args.tags[1]` is a number, not a string
    `args.order` is an object, not a string
    "#);
    let decision = refund(1).worth(i64::MAX).ask(&policies);
    insta::assert_snapshot!(decision.detail.unwrap(), @"`value.amount_minor` is 9223372036854775807, beyond 2^53: use a larger unit");
}

#[test]
fn decimals_nulls_and_sets_are_visible_to_policies() {
    let text = r#"@id("p") permit (principal, action == Action::"shop.refund", resource) when {
        context.args has rate && context.args.rate.lessThan(decimal("0.5")) && !(context.args has note)
        && context.args has tags && context.args.tags.containsAll(["a", "b"]) };"#;
    let policies = compile(text).unwrap();
    let verdict = |rate: f64, note: serde_json::Value, tags: &[&str]| {
        call("shop.refund", json!({"order": "o", "qty": 1, "rate": rate, "note": note, "tags": tags})).ask(&policies).verdict
    };
    assert_eq!(verdict(0.4999, json!(null), &["b", "a", "a"]), V::Allow);
    assert_eq!(verdict(0.5, json!(null), &["b", "a"]), V::Block);
    assert_eq!(verdict(-7.0, json!("x"), &["b", "a"]), V::Block);
    assert_eq!(verdict(0.1, json!(null), &["b"]), V::Block);
}

#[test]
fn what_is_recorded() {
    let policies = compile(ASK).unwrap();
    let args = json!({"order": "o\"1", "qty": 7, "rate": 0.5, "note": null, "tags": ["b"], "meta": {"hidden": 1}});
    let decision = call("shop.refund", args).on("shop:order:1").worth(9).ask(&policies);
    insta::assert_json_snapshot!(decision.request, @r#"
    {
      "principal": "Operator::\"triage\"",
      "action": "Action::\"shop.refund\"",
      "resource": "Entity::\"shop:order:1\"",
      "context": {
        "args": {
          "order": "o\"1",
          "qty": 7,
          "rate": {
            "__extn": {
              "fn": "decimal",
              "arg": "0.5000"
            }
          },
          "tags": [
            "b"
          ]
        },
        "value": {
          "amount_minor": 9,
          "unit": "EUR"
        },
        "classes": [
          "financial"
        ],
        "effect": "write",
        "grade": "at_most_once"
      }
    }
    "#);
    let decision = call("shop.refund", json!({"order": 1})).ask(&policies);
    insta::assert_json_snapshot!(decision.request, @r#"
    {
      "principal": "Operator::\"triage\"",
      "action": "Action::\"shop.refund\"",
      "resource": "Entity::\"shop\"",
      "context": {},
      "unfit": "`args.order` is a number, not a string"
    }
    "#);
}

#[test]
fn odd_names_survive_the_record() {
    let policies = compile("@id(\"all\") permit (principal, action, resource);").unwrap();
    for name in ["", "a\"b\\c", "new\nline\u{0}", "ünïcode \u{301}\u{1f600}\u{202e}", "Operator::\"x\""] {
        let tools = tools();
        let principal = Principal::Operator(name.to_owned());
        let request =
            PolicyRequest { principal: &principal, tool: &tools["shop.get"], args: &json!({}), entity_key: Some(name), value: None };
        let decision = policies.decide(&request);
        assert_eq!(decision.verdict, V::Allow);
        recomputes(&policies, &decision);
    }
}

#[test]
fn a_tool_changed_since_is_closed() {
    let policies = compile("@id(\"all\") permit (principal, action, resource);").unwrap();
    let ask = |tool: &tollgate_core::spec::ToolSpec| {
        let principal = Principal::Operator("triage".to_owned());
        let decision = policies.decide(&PolicyRequest { principal: &principal, tool, args: &json!({}), entity_key: None, value: None });
        recomputes(&policies, &decision);
        decision
    };
    let old = &tools()["shop.get"];
    let mut described = old.clone();
    described.input["properties"]["order"]["description"] = json!("only words");
    assert_eq!(ask(&described).verdict, V::Allow, "what policies cannot see may change");
    let mut changed = vec![old.clone(), old.clone(), old.clone(), old.clone()];
    changed[0].effect = Effect::Write;
    changed[1].classes.insert("financial".to_owned());
    changed[2].grade = Grade::Keyed;
    changed[3].input["properties"]["order"]["type"] = json!("integer");
    for tool in &changed {
        let decision = ask(tool);
        assert_eq!((decision.verdict, decision.reason), (V::Block, R::PolicyError));
    }
    insta::assert_snapshot!(ask(&changed[0]).detail.unwrap(), @"the tool `shop.get` was changed by a deployment after this action was planned: replay its event");
    insta::assert_snapshot!(ask(&tool("shop.gone", Effect::Read, &[], json!({}))).detail.unwrap(), @"the tool `shop.gone` is not among the deployed ones");
}

#[test]
fn approvals_bind_the_text_of_what_determined() {
    let digest = |text: &str| refund(7).ask(&compile(text).unwrap()).determining_text;
    let base = digest(ASK);
    assert_eq!(base, digest(&format!("// a word\n{FREE}\n{ASK}")), "an unrelated edit changes nothing");
    assert_ne!(base, digest(&ASK.replace(">= 5", ">= 6")));
    assert_ne!(base, digest(&ASK.replace("@require_approval permit", "@require_approval(\"finance\") permit")));
    assert_ne!(base, refund(1).ask(&compile(ASK).unwrap()).determining_text);
}

#[test]
fn the_version_is_the_digest_of_the_artifact_and_ignores_order() {
    let (a, b) = (source("a.cedar", FREE), source("b.cedar", ASK));
    let compile = |sources: &[_]| Policies::compile(sources, &tools(), std::iter::empty()).unwrap();
    let policies = compile(&[b.clone(), a.clone()]);
    assert_eq!(policies.version(), Digest::of(&canonical(policies.artifact()).unwrap()));
    assert_eq!(policies.version(), compile(&[a.clone(), b]).version());
    assert_ne!(policies.version(), compile(&[a]).version());
    assert_eq!(&policies.artifact()["schema"], policies.schema_json());
    assert_eq!(refund(1).ask(&policies).policy_version, policies.version());
}

#[test]
fn a_project_without_tools_or_policies_compiles() {
    let none = Policies::compile(&[source("a.cedar", FREE)], &std::collections::BTreeMap::new(), std::iter::empty()).unwrap();
    assert_eq!(none.unmapped_paths(), &[]);
    Policies::compile(&[], &tools(), std::iter::empty()).unwrap();
}

#[test]
fn the_deploy_report_names_what_policies_cannot_see() {
    assert_eq!(
        compile("").unwrap().unmapped_paths(),
        [("shop.refund".to_owned(), "args.meta".to_owned(), "is a free-form object: declare its `properties`".to_owned())]
    );
}
