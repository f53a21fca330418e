//! The egress guard: which hosts calls may reach. Knows nothing of tools or secrets.

mod address;
mod allow;
mod resolver;

pub(crate) use address::refusal;
pub(crate) use allow::AllowList;
pub(crate) use resolver::{EgressRefused, GuardedResolver, Lookup, SystemLookup};
