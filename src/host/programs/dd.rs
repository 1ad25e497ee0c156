//! `dd(1)`: only for callers that run every command themselves.

use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::host::Host;
use crate::host::act::runner::Command;

/// `dd if=DEVICE of=/dev/null count=1 iflag=direct`: whether anybody answers, past the page cache.
pub fn read_first_block(host: &Host, device: &Path, timeout: Duration) -> Result<()> {
    let command = Command::new("dd", [format!("if={}", device.display()), "of=/dev/null".to_owned()]);
    host.runner.run(&command.arg("bs=4096").arg("count=1").arg("iflag=direct").within(timeout)).map(drop)
}
