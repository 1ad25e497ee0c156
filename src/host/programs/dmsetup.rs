//! `dmsetup(8)`: what device-mapper says to root only.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Result;
use crate::host::Host;
use crate::host::act::runner::Command;
use crate::identifiers::DeviceName;

/// The kernel answers from memory; only a machine in trouble needs longer.
const ANSWER: Duration = Duration::from_secs(10);

/// How often each device-mapper device is open, mounts and the devices built on it counted.
pub fn open_counts(host: &Host) -> Result<BTreeMap<DeviceName, u32>> {
    let columns = ["info", "--columns", "--noheadings", "--separator", "=", "-o", "blkdevname,open"];
    let output = host.runner.run(&Command::new("dmsetup", columns).within(ANSWER))?;
    Ok(parse_open_counts(&output.stdout))
}

/// `dm-3=1`; without any device `No devices found`.
pub fn parse_open_counts(text: &str) -> BTreeMap<DeviceName, u32> {
    text.lines()
        .filter_map(|line| {
            let (device, count) = line.trim().split_once('=')?;
            Some((device.parse().ok()?, count.trim().parse().ok()?))
        })
        .collect()
}
