//! One file for each external program: its arguments and the parser of what it prints.

pub mod blockdev;
pub mod iscsiadm;
pub mod multipath;
pub mod multipathd;
