//! The ledger from outside: proofs against an independent implementation, exports against every kind of tampering.
#![cfg(test)]

mod golden;
mod leaves;
mod merkle;
mod mutations;
mod structure;
mod support;
