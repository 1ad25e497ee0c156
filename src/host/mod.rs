//! The machine: all I/O, no decisions.

pub mod act;
pub mod attribute;
pub mod programs;
pub mod root;
pub mod view;
pub mod wait;

use std::sync::Arc;

use act::runner::Runner;
use root::Root;

/// One machine: where its files are, and who runs its programs.
#[derive(Clone)]
pub struct Host {
    pub root: Root,
    pub runner: Arc<dyn Runner>,
}

impl Host {
    pub fn new(root: Root, runner: Arc<dyn Runner>) -> Host {
        Host { root, runner }
    }
}
