//! Envelope encryption and secret leases: the only place where plaintext secrets exist. Never knows where ciphertext lies.
//!
//! A master key wraps one data key per tenant; that wraps a key per subject, under which the ledger's erasable values are sealed, and
//! encrypts the tenant's secrets. Every ciphertext is bound to its purpose, tenant, mode and name, so that none can stand in for another.

mod aead;
mod master;
mod subjects;
mod vault;

pub use master::MasterKey;
pub use vault::{SECRET_MAX, Vault};
