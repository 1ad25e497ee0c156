//! `modprobe(8)`.

use crate::error::Result;
use crate::host::Host;
use crate::host::act::runner::Command;

/// `modprobe MODULE`
pub fn load(host: &Host, module: &str) -> Result<()> {
    host.runner.run(&Command::new("modprobe", [module])).map(drop)
}
