//! The shape of the Rust source: what ARCHITECTURE.md promises about it and the compiler cannot see.
//!
//! Python's side, the documents and the ledger are checked beside this, in `test_*.py`.

#![expect(clippy::disallowed_methods, reason = "reads the source tree, not a host")]

mod arrows;
mod paths;
mod shape;
mod sources;
