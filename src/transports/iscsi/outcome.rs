//! What an attach came to.

use crate::devices::identify;
use crate::error::{Error, Result};
use crate::host::view::device_mapper::Map;
use crate::identifiers::{DeviceName, Wwid};

use super::operation::Context;

/// What `connect_volume` returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// `/dev/dm-N` or `/dev/sdX`
    pub path: String,
    /// The identity as udev has it; empty when the disk has none.
    pub scsi_wwn: String,
    /// The identity, when there is a map.
    pub multipath_id: Option<String>,
}

/// The disks of the volume, all of one identity, and the map over them.
pub struct Outcome {
    pub disks: Vec<DeviceName>,
    pub identity: Option<Wwid>,
    pub map: Option<Map>,
}

impl Outcome {
    /// The map's own name for the identity is the one multipath and its callers use.
    fn published_identity(&self) -> Option<&Wwid> {
        self.map.as_ref().map(|map| &map.wwid).or(self.identity.as_ref())
    }

    /// What the caller does its I/O on.
    fn device(&self) -> Option<&DeviceName> {
        self.map.as_ref().map(|map| &map.device).or_else(|| self.disks.first())
    }

    /// Holds the volume against the identity in the connection properties, before anybody is given it.
    pub fn check_expected(&self, context: &Context) -> Result<()> {
        let device = self.device().map_or_else(String::new, |device| device.dev_path().display().to_string());
        identify::compare_expected(
            self.published_identity(),
            &context.request.expected_wwns,
            &device,
            context.settings.enforce_identity,
        )
    }

    pub fn attachment(&self) -> Result<Attachment> {
        let Some(device) = self.device() else {
            return Err(Error::DeviceNotFound { device: String::new(), reason: "no disk was found".to_owned() });
        };
        let scsi_wwn = self.published_identity().map_or_else(String::new, Wwid::to_string);
        Ok(Attachment {
            path: device.dev_path().display().to_string(),
            multipath_id: self.map.is_some().then(|| scsi_wwn.clone()),
            scsi_wwn,
        })
    }
}
