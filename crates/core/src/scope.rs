//! Whose data: every tenant row and every port call carries reseller, tenant and mode.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{ResellerId, TenantId};

/// Two partitions of a tenant; an id of the other mode is not found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Real systems.
    Live,
    /// Test transports and stubs, never production.
    Test,
}

impl Mode {
    /// The word in ids, keys and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// The stored form.
    pub const fn as_int(self) -> i64 {
        match self {
            Self::Live => 0,
            Self::Test => 1,
        }
    }

    /// From the stored form.
    pub const fn from_int(n: i64) -> Option<Self> {
        match n {
            0 => Some(Self::Live),
            1 => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            _ => Err(format!("`{s}` is not a mode: `live` or `test`")),
        }
    }
}

/// The wall: what a row belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Scope {
    /// Who owns the tenant.
    pub reseller_id: ResellerId,
    /// The tenant.
    pub tenant_id: TenantId,
    /// Live or test.
    pub mode: Mode,
}
