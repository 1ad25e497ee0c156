//! One file for each external program: its arguments and the parser of what it prints.

pub mod blkid;
pub mod blockdev;
pub mod dd;
pub mod dmsetup;
pub mod iscsiadm;
pub mod mdadm;
pub mod modprobe;
pub mod multipath;
pub mod multipathd;
pub mod nvme;
