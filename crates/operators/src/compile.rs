//! Rules compiled: every fault at once, nothing runs until there is none.

use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_core::spec::{ActionTemplate, OperatorSpec, ToolSpec};
use tollgate_expr::{Expression, JsonTemplate, Template};

use crate::check;
use crate::fault::OperatorFault;

const ROOTS: &[&str] = &["event"];

/// The operators of one bundle.
#[derive(Debug)]
pub struct Rules {
    pub(crate) operators: BTreeMap<String, Compiled>,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) when: Option<Expression>,
    pub(crate) limit_key: Option<Expression>,
    pub(crate) actions: Vec<CompiledAction>,
}

#[derive(Debug)]
pub(crate) struct CompiledAction {
    pub(crate) tool: String,
    pub(crate) capability: Option<String>,
    pub(crate) identity: Vec<String>,
    pub(crate) when: Option<Expression>,
    pub(crate) args: JsonTemplate,
    pub(crate) entity_key: Option<Template>,
    pub(crate) idempotency_key: Option<Template>,
    pub(crate) value: Option<(JsonTemplate, Template)>,
    pub(crate) priority: Option<u8>,
    pub(crate) independent: bool,
    pub(crate) continue_on_failure: bool,
}

/// Compiles one operator and gathers its faults.
pub(crate) struct Bench<'a> {
    pub(crate) operator: &'a str,
    pub(crate) bindings: &'a BTreeMap<String, String>,
    pub(crate) tools: &'a BTreeMap<String, ToolSpec>,
    pub(crate) faults: Vec<OperatorFault>,
}

impl Rules {
    /// Compiles operators whose plans may name these tools, or capabilities that `bindings` binds to one.
    ///
    /// # Errors
    /// Every fault of every operator.
    pub fn compile(
        specs: &BTreeMap<String, OperatorSpec>,
        bindings: &BTreeMap<String, String>,
        tools: &BTreeMap<String, ToolSpec>,
    ) -> Result<Self, Vec<OperatorFault>> {
        let (mut operators, mut faults) = (BTreeMap::new(), Vec::new());
        for (name, spec) in specs {
            let mut bench = Bench { operator: name, bindings, tools, faults: Vec::new() };
            let compiled = bench.operator(spec);
            faults.append(&mut bench.faults);
            operators.insert(name.clone(), compiled);
        }
        if faults.is_empty() { Ok(Self { operators }) } else { Err(faults) }
    }
}

impl Bench<'_> {
    fn operator(&mut self, spec: &OperatorSpec) -> Compiled {
        if spec.propose.is_empty() {
            self.fault("propose", "an operator proposes at least one action");
        }
        let when = self.expression("when", spec.when.as_deref());
        let actions = spec.propose.iter().enumerate().filter_map(|(i, a)| self.action(&format!("propose[{i}]"), a)).collect();
        let limit_key = spec.dispatch.concurrency.as_ref().and_then(|c| self.expression("concurrency.key", c.key.as_deref()));
        Compiled { when, limit_key, actions }
    }

    fn action(&mut self, place: &str, a: &ActionTemplate) -> Option<CompiledAction> {
        let empty = Value::Object(serde_json::Map::new());
        let source = if a.args.is_null() { &empty } else { &a.args };
        let args = JsonTemplate::compile(source, ROOTS);
        let args = self.took(&format!("{place}.args"), args);
        let when = self.expression(&format!("{place}.when"), a.when.as_deref());
        let entity_key = self.template(&format!("{place}.entity_key"), a.entity_key.as_deref());
        let idempotency_key = self.template(&format!("{place}.idempotency_key"), a.idempotency_key.as_deref());
        let value = a.value.as_ref().and_then(|v| {
            let amount = JsonTemplate::compile(&v.amount_minor, ROOTS);
            let amount = self.took(&format!("{place}.value.amount_minor"), amount);
            let unit = self.template(&format!("{place}.value.unit"), Some(&v.unit));
            amount.zip(unit)
        });
        let tool = check::tool(self, place, &a.tool)?;
        check::keys(self, place, tool, entity_key.as_ref(), idempotency_key.as_ref());
        check::args(self, place, tool, source);
        Some(CompiledAction {
            tool: tool.name.clone(),
            capability: self.bindings.contains_key(&a.tool).then(|| a.tool.clone()),
            identity: tool.identity.clone(),
            when,
            args: args?,
            entity_key,
            idempotency_key,
            value,
            priority: a.priority,
            independent: a.independent,
            continue_on_failure: a.continue_on_failure,
        })
    }

    pub(crate) fn fault(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.faults.push(OperatorFault::new(self.operator, place, message));
    }

    fn took<T>(&mut self, place: &str, compiled: Result<T, tollgate_expr::CompileError>) -> Option<T> {
        compiled.map_err(|e| self.faults.push(OperatorFault::from_compile(self.operator, place, e))).ok()
    }

    fn expression(&mut self, place: &str, source: Option<&str>) -> Option<Expression> {
        let compiled = Expression::compile(source?, ROOTS);
        self.took(place, compiled)
    }

    fn template(&mut self, place: &str, source: Option<&str>) -> Option<Template> {
        let compiled = Template::compile(source?, ROOTS);
        self.took(place, compiled)
    }
}
