//! `blkid(8)`: what a device holds.

use crate::error::Result;
use crate::host::Host;
use crate::host::act::runner::Command;
use crate::identifiers::DeviceName;

/// `blkid -p`: the file system, partition table or other signature on a device, read from it and not from the cache; None
/// when there is none (exit code 2).  More than one (8) is something as well.
pub fn signature(host: &Host, device: &DeviceName) -> Result<Option<String>> {
    let path = device.dev_path().display().to_string();
    let args = ["-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "value", &path];
    let output = host.runner.run(&Command::new("blkid", args).accept(&[0, 2, 8]))?;
    let words: Vec<&str> = output.stdout.split_whitespace().collect();
    Ok(match (output.code, words.is_empty()) {
        (Some(8), _) => Some("several signatures".to_owned()),
        (_, true) => None,
        _ => Some(words.join(" ")),
    })
}
