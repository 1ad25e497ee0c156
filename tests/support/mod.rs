//! One pretend machine for all tests: a directory tree with the kernel's layout and the programs around it.
//!
//! A fake with behaviour, not a mock with expectations: tests describe the storage, let the engine work, and look at
//! what became of the machine and at what was done to it.

pub mod act;
pub mod daemon;
pub mod fabric;
pub mod fake_host;
pub mod iscsiadm;
pub mod kernel;
pub mod log_book;
pub mod machine;
pub mod md;
mod nameless;
pub mod node_db;
pub mod nvme;
pub mod nvme_host;
pub mod nvme_identify;
pub mod nvme_subsystem;
pub mod storage;
pub mod tree;
pub mod udev;
pub mod vpd;
pub mod witness;

pub use fake_host::FakeHost;
pub use machine::{Multipathd, Trouble};
pub use storage::Volume;
