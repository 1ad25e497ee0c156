//! `blockdev(8)`: only for callers that run every command themselves.

use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::host::Host;
use crate::host::act::runner::Command;

/// `blockdev --flushbufs DEVICE`
pub fn flush(host: &Host, device: &Path, timeout: Duration) -> Result<()> {
    let command = Command::new("blockdev", ["--flushbufs".to_owned(), device.display().to_string()]).within(timeout);
    host.runner.run(&command).map(drop)
}
