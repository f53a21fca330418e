//! A `files` tool compiled, and its operation for given arguments.

use std::path::PathBuf;

use serde_json::Value;
use tollgate_core::ports::{RenderError, Rendered};
use tollgate_core::scope::Mode;
use tollgate_core::spec::{ConnectorSpec, FilesOp, ToolSpec};
use tollgate_expr::{Inputs, JsonTemplate, Template};

use super::path;
use crate::fault::Fault;
use crate::schema::Schema;
use crate::template::{Placed, REQUEST_ROOTS};

/// Longest content, in bytes.
const MAX_CONTENT: usize = 4 * 1024 * 1024;

/// A compiled tool.
pub(crate) struct FilesTool {
    name: String,
    op: &'static str,
    path: Placed<Template>,
    content: Option<Placed<JsonTemplate>>,
    live: Target,
    test: Option<Target>,
    /// What the tool returns must fit.
    pub output_schema: Option<Schema>,
}

struct Target {
    config: Value,
    root: PathBuf,
}

impl FilesTool {
    /// Compiles a tool. `test_root` is the folder of test mode, where the connector names one.
    pub fn compile(
        spec: &ToolSpec,
        op: &FilesOp,
        connector: &ConnectorSpec,
        root: PathBuf,
        test_root: Option<PathBuf>,
        output_schema: Option<Schema>,
    ) -> Result<Self, Vec<Fault>> {
        let (name, path, content) = match op {
            FilesOp::Write { path, content } => ("write", path, Some(content)),
            FilesOp::Read { path } => ("read", path, None),
            FilesOp::Check { path, content } => ("check", path, Some(content)),
        };
        let path = Placed::text("request.path", path, REQUEST_ROOTS).map_err(|f| vec![f])?;
        let content = content.map(|c| Placed::json("request.content", c, REQUEST_ROOTS)).transpose().map_err(|f| vec![f])?;
        let live = Target { config: Value::Object(connector.config.clone()), root };
        let test = connector.test_config.as_ref().zip(test_root).map(|(c, root)| Target { config: Value::Object(c.clone()), root });
        Ok(Self { name: spec.name.clone(), op: name, path, content, live, test, output_schema })
    }

    /// Its operation's name.
    pub const fn op(&self) -> &'static str {
        self.op
    }

    /// The root in this mode; none in test mode without a test root.
    pub fn root(&self, mode: Mode) -> Option<&PathBuf> {
        self.target(mode).map(|t| &t.root)
    }

    const fn target(&self, mode: Mode) -> Option<&Target> {
        match mode {
            Mode::Live => Some(&self.live),
            Mode::Test => self.test.as_ref(),
        }
    }

    /// The operation for these arguments.
    pub fn render(&self, mode: Mode, args: &Value) -> Result<Rendered, RenderError> {
        let Some(target) = self.target(mode) else { return Ok(Rendered::Stub { tool: self.name.clone() }) };
        let inputs = Inputs::new().with("args", args).with("config", &target.config);
        let path = self.path.eval_text(&inputs)?;
        path::split(&path).map_err(|m| self.path.wrong(m))?;
        let content = match &self.content {
            None => None,
            Some(template) => {
                let content = match template.eval(&inputs)? {
                    Value::String(text) => text,
                    other => tollgate_core::canon::stable_text(&other),
                };
                if content.len() > MAX_CONTENT {
                    return Err(template.wrong(format!("the content is longer than {MAX_CONTENT} bytes")));
                }
                Some(content)
            }
        };
        Ok(Rendered::Files { op: self.op.to_owned(), path, content })
    }
}
