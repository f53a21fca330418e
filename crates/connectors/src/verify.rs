//! The verifying read of a `verifiable` tool, compiled: which tool is asked, with what, and what its answer means.

use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::ports::VerifyAnswer;
use tollgate_core::spec::{Effect, ToolSpec, VerifySpec};
use tollgate_expr::{Expression, Inputs, JsonTemplate};

use crate::fault::Fault;
use crate::template::{Placed, fault};

/// A compiled [`VerifySpec`].
pub(crate) struct VerifyingRead {
    /// Full name of the read tool.
    pub tool: String,
    args: Option<Placed<JsonTemplate>>,
    happened: Expression,
}

impl VerifyingRead {
    /// Compiles; all faults at once.
    pub fn compile(of: &ToolSpec, spec: &VerifySpec, tools: &BTreeMap<String, ToolSpec>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let short = format!("{}.{}", of.connector, spec.tool);
        let found = tools.get(&short).or_else(|| tools.get(&spec.tool));
        match found {
            None => faults
                .push(Fault::new("verify.tool", format!("there is no tool `{}`, neither in this connector nor by full name", spec.tool))),
            Some(read) if read.effect != Effect::Read => {
                faults.push(Fault::new("verify.tool", format!("`{}` is a write: name a tool with `effect: read`", read.name)));
            }
            Some(_) => {}
        }
        let args = spec.args.as_ref().map(|a| Placed::json("verify.args", a, &["args"])).transpose();
        let args = args.map_err(|f| faults.push(f)).ok();
        let happened = Expression::compile(&spec.happened, &["output", "args"]).map_err(|e| faults.push(fault("verify.happened", &e))).ok();
        match (found, args, happened) {
            (Some(read), Some(args), Some(happened)) if faults.is_empty() => Ok(Self { tool: read.name.clone(), args, happened }),
            _ => Err(faults),
        }
    }

    /// The read tool's arguments for a write's.
    pub fn args(&self, write: &Value) -> Result<Value, String> {
        match &self.args {
            None => Ok(write.clone()),
            Some(template) => template.eval(&Inputs::new().with("args", write)).map_err(|e| e.to_string()),
        }
    }

    /// What the read's outcome says. `args` are the write's own.
    pub fn answer(&self, outcome: AttemptOutcome, args: &Value) -> VerifyAnswer {
        let output = match outcome {
            AttemptOutcome::Applied { output, .. } => output,
            other => return VerifyAnswer::NoAnswer(other.message().to_owned()),
        };
        match self.happened.eval_bool(&Inputs::new().with("output", &output).with("args", args)) {
            Ok(true) => VerifyAnswer::Happened(output),
            Ok(false) => VerifyAnswer::DidNotHappen(output),
            Err(e) => VerifyAnswer::NoAnswer(format!("verify.happened: {e}")),
        }
    }
}
