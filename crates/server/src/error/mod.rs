//! Errors as clients see them: codes, bodies in two formats, and how errors of the ports become them.

mod api;
mod code;
mod from;
mod pages;
mod render;

pub use api::ApiError;
pub use code::Code;
pub(crate) use pages::{index_page, page};
pub(crate) use render::{ErrorBody, ErrorDetail, Problem, render, wants_problem};
