//! A kernel name of a block device: `sda`, `dm-3`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName(String);

impl DeviceName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `/dev/sda`
    pub fn dev_path(&self) -> PathBuf {
        PathBuf::from("/dev").join(&self.0)
    }

    pub fn is_device_mapper(&self) -> bool {
        self.0.starts_with("dm-")
    }

    /// The name in a path such as `/dev/sda` or `/sys/block/sda`.
    pub fn from_path(path: &std::path::Path) -> Option<DeviceName> {
        path.file_name()?.to_str()?.parse().ok()
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '!' | '.');
        if text.is_empty() || text.len() > 64 || text.starts_with(['-', '.']) || !text.chars().all(plain) {
            return Err(Error::invalid("device", text, "not a kernel device name"));
        }
        Ok(DeviceName(text.to_owned()))
    }
}

impl serde::Serialize for DeviceName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
