//! The address of a SCSI device: host, channel, target and LUN, as in `/sys/bus/scsi/devices/2:0:0:1`.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hctl {
    pub host: u32,
    pub channel: u32,
    pub target: u32,
    pub lun: u64,
}

impl FromStr for Hctl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::invalid("hctl", text, "not host:channel:target:lun");
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or_else(bad);
        let hctl = Hctl {
            host: next()?.parse().map_err(|_| bad())?,
            channel: next()?.parse().map_err(|_| bad())?,
            target: next()?.parse().map_err(|_| bad())?,
            lun: next()?.parse().map_err(|_| bad())?,
        };
        if parts.next().is_some() { Err(bad()) } else { Ok(hctl) }
    }
}

impl fmt::Display for Hctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.host, self.channel, self.target, self.lun)
    }
}
