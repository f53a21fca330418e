//! What takes a write's effect back, compiled: which tool is called, and with what. Must not know when.

use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_core::ports::RenderError;
use tollgate_core::spec::{Effect, ToolSpec, UndoSpec};
use tollgate_expr::{Inputs, JsonTemplate};

use crate::fault::Fault;
use crate::template::Placed;

/// A compiled [`UndoSpec`].
pub(crate) struct Undo {
    /// Full name of the tool.
    pub tool: String,
    args: Option<Placed<JsonTemplate>>,
}

impl Undo {
    /// Compiles; all faults at once.
    pub fn compile(of: &ToolSpec, spec: &UndoSpec, tools: &BTreeMap<String, ToolSpec>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let short = format!("{}.{}", of.connector, spec.tool);
        let found = tools.get(&short).or_else(|| tools.get(&spec.tool));
        if of.effect != Effect::Write {
            faults.push(Fault::new("undo", "a read has no `undo`: there is nothing to take back"));
        }
        match found {
            None => {
                faults
                    .push(Fault::new("undo.tool", format!("there is no tool `{}`, neither in this connector nor by full name", spec.tool)));
            }
            Some(tool) if tool.name == of.name => faults.push(Fault::new("undo.tool", "a tool does not take back its own effect")),
            Some(tool) if tool.effect != Effect::Write => {
                faults.push(Fault::new("undo.tool", format!("`{}` is a read: name a tool that writes", tool.name)));
            }
            Some(tool) if tool.undo.is_some() => {
                faults.push(Fault::new("undo.tool", format!("`{}` has an `undo` itself: what takes back is never taken back", tool.name)));
            }
            Some(_) => {}
        }
        let args = spec.args.as_ref().map(|a| Placed::json("undo.args", a, &["args", "output"])).transpose();
        let args = args.map_err(|f| faults.push(f)).ok();
        match (found, args) {
            (Some(tool), Some(args)) if faults.is_empty() => Ok(Self { tool: tool.name.clone(), args }),
            _ => Err(faults),
        }
    }

    /// The arguments for a write's arguments and output.
    pub fn args(&self, write: &Value, output: &Value) -> Result<Value, RenderError> {
        match &self.args {
            None => Ok(write.clone()),
            Some(template) => template.eval(&Inputs::new().with("args", write).with("output", output)),
        }
    }
}
