//! READ: one file per kernel directory.  Uses neither `act` nor `programs`.

pub mod attachment_record;
pub mod block;
pub mod device_mapper;
pub mod fc_host;
pub mod fc_remote_port;
pub mod fc_transport;
pub mod iscsi_session;
pub mod links;
pub mod md;
pub mod mounts;
pub mod node_record;
pub mod nvme_controller;
pub mod nvme_core;
pub mod nvme_identify;
pub mod nvme_namespace;
pub mod nvme_subsystem;
pub mod scsi;
pub mod udev;
pub mod zfcp;
