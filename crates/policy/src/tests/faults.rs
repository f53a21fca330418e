//! What people read when a policy is wrong.

use serde_json::json;
use tollgate_core::spec::Effect;

use super::{by_name, compile, source, tool, tools};
use crate::Policies;

/// The faults as they are printed.
fn said(text: &str) -> String {
    match compile(text) {
        Ok(_) => "no fault".to_owned(),
        Err(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn syntax() {
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action, resource);\n\n@id(\"b\") permit (principal, action resource);"), @"policies/main.cedar:3:36: unexpected token `resource`");
    insta::assert_snapshot!(said("@id(\"a\")\npermit (principal, action, resource) when { context. };"), @"policies/main.cedar:2:54: unexpected token `}`");
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action, resource)"), @"policies/main.cedar:1:46: unexpected end of input");
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action, resource) when { \"open };"), @"policies/main.cedar:1:54: invalid token (try checking that all strings are closed properly)");
}

#[test]
fn annotations() {
    insta::assert_snapshot!(said("\n  permit (principal, action, resource);"), @r#"policies/main.cedar:2:3: this policy has no `@id` (add `@id("…")` before `permit` or `forbid`: receipts and approvals cite policies by it)"#);
    insta::assert_snapshot!(said("@id(\"\") permit (principal, action, resource);"), @r#"policies/main.cedar:1:1: this policy has no `@id` (add `@id("…")` before `permit` or `forbid`: receipts and approvals cite policies by it)"#);
    insta::assert_snapshot!(said("@id(\"a\") @requires_approval(\"finance\")\npermit (principal, action, resource);"), @"policies/main.cedar:1:10: unknown annotation `@requires_approval` (did you mean `@require_approval`?)");
    insta::assert_snapshot!(said("@id(\"a\") @severity(\"high\") permit (principal, action, resource);"), @"policies/main.cedar:1:10: unknown annotation `@severity` (known annotations are `@description`, `@id`, `@require_approval`)");
    insta::assert_snapshot!(said("@id(\"a\") @require_approval(\"The Finance\") permit (principal, action, resource);"), @r#"policies/main.cedar:1:10: `The Finance` is not the name of a queue (use lower-case letters, digits, `-` and `_`, such as `@require_approval("finance")`)"#);
    insta::assert_snapshot!(said("@id(\"a\") @require_approval(\"\") permit (principal, action, resource);"), @r#"policies/main.cedar:1:10: `` is not the name of a queue (use lower-case letters, digits, `-` and `_`, such as `@require_approval("finance")`)"#);
    insta::assert_snapshot!(said("@id(\"a\") @require_approval forbid (principal, action, resource);"), @"policies/main.cedar:1:10: `@require_approval` has no meaning on a forbid (a forbid always blocks: put the annotation on a permit)");
    assert_eq!(said("@id(\"a\") @description(\"why (this)\") @require_approval permit (principal, action, resource);"), "no fault");
}

#[test]
fn templates_are_refused() {
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action, resource);\n@id(\"t\") permit (principal == ?principal, action, resource);"), @"policies/main.cedar:2:1: templates are not supported: a policy cannot contain `?principal` or `?resource` (write one policy for each principal or resource)");
}

#[test]
fn ids_are_unique_over_all_files() {
    let one = "@id(\"same\") permit (principal, action, resource);";
    let files = [source("b.cedar", one), source("a.cedar", &format!("\n {one}"))];
    let faults = Policies::compile(&files, &tools(), std::iter::empty()).err().unwrap();
    insta::assert_snapshot!(faults[0].to_string(), @"b.cedar:1:1: the id `same` is already used at a.cedar:2:2 (give each policy an id of its own)");
    let files = [source("a.cedar", one), source("a.cedar", "")];
    let faults = Policies::compile(&files, &tools(), std::iter::empty()).err().unwrap();
    insta::assert_snapshot!(faults[0].to_string(), @"a.cedar: this path is given twice");
}

#[test]
fn all_files_are_reported_in_order() {
    let files = [source("b.cedar", "permit (principal, action, resource);"), source("a.cedar", "@id(\"x\")\npermit (what);")];
    let faults = Policies::compile(&files, &tools(), std::iter::empty()).err().unwrap();
    let mut places: Vec<_> = faults.iter().map(|f| (f.path.as_str(), f.line)).collect();
    places.dedup();
    assert_eq!(places, [("a.cedar", 2), ("b.cedar", 1)]);
}

#[test]
fn names_that_do_not_exist() {
    insta::assert_snapshot!(said("@id(\"a\")\npermit (principal, action == Action::\"shop.refnd\", resource);"), @r#"policies/main.cedar:2:30: unrecognized action `Action::"shop.refnd"` (did you mean `Action::"shop.refund"`?)"#);
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action in Action::\"shop\", resource);"), @r#"policies/main.cedar:1:39: unrecognized action `Action::"shop"` (did you mean `Action::"shop.*"`?)"#);
    insta::assert_snapshot!(said("@id(\"a\") forbid (\n  principal == Operator::\"triag\", action, resource);"), @r#"policies/main.cedar:2:16: unknown operator `Operator::"triag"` (did you mean `Operator::"triage"`?)"#);
    insta::assert_snapshot!(said("@id(\"a\") permit (principal == User::\"bob\", action, resource);"), @"policies/main.cedar:1:31: unrecognized entity type `User` (principals are `Operator`, `ServiceAccount` and `System`; every resource is an `Entity`)");
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action == Action::\"shop.refund\", resource) when { context.args.qtty > 3 };"), @r#"policies/main.cedar:1:79: attribute `args.qtty` in context for Action::"shop.refund" not found (did you mean `qty`?)"#);
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action == Action::\"shop.refund\", resource) when { context.args.meta == \"x\" };"), @r#"policies/main.cedar:1:79: attribute `args.meta` in context for Action::"shop.refund" not found (policies cannot see `args.meta`: it is a free-form object: declare its `properties`)"#);
}

#[test]
fn types_that_do_not_fit() {
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action, resource) when { context.args.qty > 3 };"), @r#"policies/main.cedar:1:54: attribute `args.qty` in context for Action::"shop.get" not found (name the tools that have it with `action == Action::"…"` or `action in […]`)"#);
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action == Action::\"shop.refund\", resource) when { context.value.amount_minor > 3 };"), @r#"policies/main.cedar:1:79: unable to guarantee safety of access to optional attribute `value` in context for Action::"shop.refund" (try testing for the attribute's presence with `context has value && ..`)"#);
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action == Action::\"shop.refund\", resource) when { context.args has rate && context.args.rate > 3 };"), @"policies/main.cedar:1:104: unexpected type: expected Long but saw decimal");
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action == Action::\"shop.refund\", resource) when { context.args.order == 3 };"), @"policies/main.cedar:1:79: the types Long and String are not compatible (both operands to a `==` expression must have compatible types. Types must be exactly equal to be compatible)");
}

#[test]
fn suspicious_is_not_wrong() {
    let policies = compile("@id(\"a\") permit (principal, action in Action::\"class:destructive\", resource);").unwrap();
    insta::assert_snapshot!(policies.warnings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @r#"
    policies/main.cedar:1:1: policy is impossible: the policy expression evaluates to false for all valid requests
    policies/main.cedar:1:1: unable to find an applicable action given the policy scope constraints
    "#);
    assert_eq!(compile("@id(\"a\") permit (principal, action in Action::\"read\", resource);").unwrap().warnings(), &[]);
}

#[test]
fn a_tool_cannot_pass_for_a_group() {
    let tools = by_name(vec![tool("class:x.y", Effect::Read, &["x.y"], json!({"type": "object"}))]);
    let faults = Policies::compile(&[], &tools, std::iter::empty()).err().unwrap();
    insta::assert_snapshot!(faults[0].to_string(), @"tools: the tool `class:x.y` has the name of an action group: rename it");
}
