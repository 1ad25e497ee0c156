//! `nvme(1)`: for callers that run every command themselves, and where nvme-cli has a configuration of its own.

use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::host::act::runner::Command;
use crate::host::view::nvme_controller::Controller;
use crate::identifiers::{DeviceName, FabricPortal, Nqn};

/// The kernel gives a silent target a minute.
const CONNECT: Duration = Duration::from_secs(90);

/// `nvme connect`: 128 entries in a queue, and a controller that is lost is never given up, because with it the
/// device, and what was not written yet, would go.
pub fn connect(host: &Host, portal: &FabricPortal, nqn: &Nqn, host_nqn: Option<&Nqn>) -> Result<()> {
    let mut command = Command::new("nvme", ["connect", "-a"]).arg(portal.traddr());
    if let Some(service) = portal.trsvcid() {
        command = command.arg("-s").arg(service);
    }
    command = command.arg("-t").arg(portal.fabric().as_str()).arg("-n").arg(nqn.as_str());
    command = command.arg("-Q").arg("128").arg("-l").arg("-1");
    if let Some(host_nqn) = host_nqn {
        command = command.arg("-q").arg(host_nqn.as_str());
    }
    host.runner.run(&command.within(CONNECT)).map(drop)
}

/// Whether `nvme connect` failed because the connection is there: code 70 in old versions, EALREADY in others, and 1 with
/// a text, on either stream, since 2.0.
pub fn is_already_connected(error: &Error) -> bool {
    let Error::Command(failure) = error else { return false };
    let said = || failure.stdout.contains("already connected") || failure.stderr.contains("already connected");
    match failure.code {
        Some(70 | nix::libc::EALREADY) => true,
        Some(1) => said(),
        _ => false,
    }
}

/// `nvme disconnect -d /dev/nvme3`: of a controller; newer versions refuse a namespace.
pub fn disconnect(host: &Host, controller: &Controller) -> Result<()> {
    let command = Command::new("nvme", ["disconnect".to_owned(), "-d".to_owned(), device(controller)]);
    host.runner.run(&command).map(drop)
}

/// `nvme ns-rescan /dev/nvme3`
pub fn rescan(host: &Host, controller: &Controller) -> Result<()> {
    host.runner.run(&Command::new("nvme", ["ns-rescan".to_owned(), device(controller)])).map(drop)
}

fn device(controller: &Controller) -> String {
    controller.dev_path().display().to_string()
}

/// `nvme id-ns -ojson /dev/nvme0n1`: the size the storage says the namespace has, in bytes.
pub fn size(host: &Host, device: &DeviceName) -> Result<Option<u64>> {
    let path = device.dev_path().display().to_string();
    let output = host.runner.run(&Command::new("nvme", ["id-ns".to_owned(), "-ojson".to_owned(), path]))?;
    Ok(parse_size(&output.stdout))
}

/// `nsze` blocks of the format in use: the low four bits of `flbas`, and with more than 16 formats bits 5 and 6.
pub fn parse_size(text: &str) -> Option<u64> {
    let fields: Value = serde_json::from_str(text).ok()?;
    let blocks = fields.get("nsze")?.as_u64()?;
    let formats = fields.get("lbafs")?.as_array()?;
    let flbas = usize::try_from(fields.get("flbas").and_then(Value::as_u64).unwrap_or(0)).ok()?;
    let index = if formats.len() > 16 { flbas & 0x0f | (flbas >> 5 & 0x03) << 4 } else { flbas & 0x0f };
    let shift = formats.get(index)?.get("ds")?.as_u64()?;
    // Below 512 bytes a format is not supported.
    (9..=31).contains(&shift).then(|| blocks.checked_mul(1 << shift)).flatten()
}
