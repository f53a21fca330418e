//! HTTP tools: compiled once, rendered purely, called once per attempt. Knows nothing of webhooks or files.

mod answer;
mod auth;
mod body;
mod call;
mod client;
mod compile;
pub(crate) mod encode;
mod error;
mod outcome;
mod render;
mod retry_after;
mod status;
mod url;

pub(crate) use answer::one_line;
pub(crate) use auth::Auth;
pub(crate) use call::{Parts, call};
pub(crate) use client::Clients;
pub(crate) use compile::{HttpConnector, HttpTool};
