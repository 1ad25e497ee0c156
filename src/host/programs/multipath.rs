//! `multipath(8)`.

use std::time::Duration;

use log::debug;

use crate::error::Result;
use crate::host::Host;
use crate::host::act::runner::Command;
use crate::host::act::wwids;
use crate::identifiers::{DeviceName, Wwid};
use crate::log::HOST;

/// `multipath -a WWID`: from now on one path with this identity is enough for a map, whatever `find_multipaths` says.
pub fn add_wwid(host: &Host, wwid: &Wwid) -> Result<bool> {
    let output = host.runner.run(&Command::new("multipath", ["-a", wwid.as_str()]).accept(&[0, 1]))?;
    Ok(output.stdout.trim() == format!("wwid '{wwid}' added"))
}

/// Takes the identity out of the wwids file; by `multipath -w WWID` when the file is not where it always is.
pub fn remove_wwid(host: &Host, wwid: &Wwid) -> Result<()> {
    if host.runner.is_direct() {
        match wwids::remove(&host.root, wwid) {
            Ok(()) => return Ok(()),
            Err(error) => debug!(target: HOST, "{}", error.describe()),
        }
    }
    host.runner.run(&Command::new("multipath", ["-w", wwid.as_str()]).accept(&[0, 1])).map(drop)
}

/// `multipath -C dm-N`: whether I/O to the map can succeed.  It says so by its code alone, which a caller's own `execute=`
/// tells only of a command that failed.
pub fn is_usable(host: &Host, map: &DeviceName) -> Result<bool> {
    match host.runner.run(&Command::new("multipath", ["-C", map.as_str()])) {
        Ok(_) => Ok(true),
        Err(error) if error.exit_code() == Some(1) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `multipath -r`: all maps are read again; 1 and 21 are what it says when some could not.
pub fn reload(host: &Host) -> Result<()> {
    host.runner.run(&Command::new("multipath", ["-r"]).accept(&[0, 1, 21])).map(drop)
}

/// `multipath -f NAME`
pub fn flush(host: &Host, name: &str, timeout: Duration) -> Result<()> {
    host.runner.run(&Command::new("multipath", ["-f", name]).within(timeout)).map(drop)
}
