//! CHANGE: programs started, files written, locks taken.

pub mod block_ioctl;
pub mod bounded;
pub mod files;
pub mod inquiry;
pub mod lock;
pub mod multipathd_socket;
pub mod nvme;
pub mod private_directory;
pub mod probe;
pub mod runner;
pub mod wwids;
