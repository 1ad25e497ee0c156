//! READ: one file per kernel directory.  Uses neither `act` nor `programs`.

pub mod block;
pub mod device_mapper;
pub mod iscsi_session;
pub mod links;
pub mod node_record;
pub mod scsi;
