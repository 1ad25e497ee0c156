//! `/sys/block/sdX/device`: the SCSI device behind a disk (kernel: drivers/scsi/scsi_sysfs.c).

use std::path::{Path, PathBuf};

use crate::host::attribute::{self, Nearby};
use crate::host::root::Root;
use crate::host::view::block;
use crate::identifiers::{DeviceName, Hctl, Wwid, scsi_id};

fn device(disk: &DeviceName) -> PathBuf {
    PathBuf::from(format!("/sys/block/{disk}/device"))
}

/// `/sys/block/sdX/device` -> `../../../H:C:T:L`
pub fn hctl(root: &Root, disk: &DeviceName) -> Option<Hctl> {
    let link = attribute::link(&root.path(device(disk)))?;
    link.file_name()?.to_str()?.parse().ok()
}

/// `/sys/bus/scsi/devices/H:C:T:L`
pub fn place(hctl: &Hctl) -> PathBuf {
    PathBuf::from(format!("/sys/bus/scsi/devices/{hctl}"))
}

/// `H:C:T:L/block`: the disk at an address, once it has a name.
pub fn disk_at(root: &Root, hctl: &Hctl) -> Option<DeviceName> {
    attribute::names(&root.path(place(hctl).join("block"))).first()?.parse().ok()
}

/// `H:C:T:L/type`: whether there is a device that is a disk (0, SPC-4 table "peripheral device type") and no enclosure
/// or controller.
pub fn is_disk(root: &Root, hctl: &Hctl) -> bool {
    attribute::text(&root.path(place(hctl).join("type"))).as_deref() == Some("0")
}

/// `/sys/block/sdX/device/state`: `running`, `blocked`, `offline`, `transport-offline` ...
pub fn state(root: &Root, disk: &DeviceName) -> Option<String> {
    attribute::text(&root.path(device(disk).join("state")))
}

/// The identity the kernel has of the disk: read by INQUIRY when the disk appeared or was last rescanned.  From
/// `device/vpd_pg83` as `scsi_id` would, else from `device/wwid`.
pub fn wwid(root: &Root, disk: &DeviceName) -> Option<Wwid> {
    page(root, disk).as_deref().and_then(scsi_id).or_else(|| sysfs_wwid(root, disk))
}

/// What a look at all disks of the host needs of each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Brief {
    pub state: Option<String>,
    pub identity: Option<Wwid>,
    /// In bytes.
    pub size: Option<u64>,
}

/// State, identity and size of a disk by where its entry in `/sys/block` leads, with the fewest steps; None when it is gone.
/// The disks of a target share a directory: who reads them one after the other goes there once.
pub fn brief(root: &Root, disk: &DeviceName, leads_to: &Path, nearby: &mut Nearby) -> Option<Brief> {
    let all = root.path("/sys/block");
    let (directory, device, block) = match below_target(leads_to) {
        Some((target, address)) => (all.join(target), address.to_owned(), format!("{address}/block/{disk}")),
        None => (all, format!("{disk}/device"), disk.to_string()),
    };
    let directory = nearby.open(&directory)?;
    let page = directory.bytes(&format!("{device}/vpd_pg83"));
    let wwid = || Wwid::from_sysfs(&directory.text(&format!("{device}/wwid"))?);
    Some(Brief {
        state: directory.text(&format!("{device}/state")),
        identity: page.as_deref().and_then(scsi_id).or_else(wwid),
        size: directory.text(&format!("{block}/size")).as_deref().and_then(block::bytes_of),
    })
}

/// `../devices/.../targetH:C:T` and `H:C:T:L` of `../devices/.../targetH:C:T/H:C:T:L/block/sdX`.
fn below_target(leads_to: &Path) -> Option<(&str, &str)> {
    let (device, _) = leads_to.to_str().filter(|_| leads_to.is_relative())?.rsplit_once("/block/")?;
    device.rsplit_once('/')
}

/// `device/wwid` alone.
pub fn sysfs_wwid(root: &Root, disk: &DeviceName) -> Option<Wwid> {
    attribute::text(&root.path(device(disk).join("wwid"))).as_deref().and_then(Wwid::from_sysfs)
}

/// `device/vpd_pg83`: the page as the kernel read it when the disk appeared or was last rescanned.
pub fn page(root: &Root, disk: &DeviceName) -> Option<Vec<u8>> {
    attribute::read_bytes(&root.path(device(disk).join("vpd_pg83"))).ok().flatten()
}

/// Writing `1` removes the device.
pub fn delete_path(disk: &DeviceName) -> PathBuf {
    device(disk).join("delete")
}

/// Writing `1` has the kernel read identity and size again.
pub fn rescan_path(disk: &DeviceName) -> PathBuf {
    device(disk).join("rescan")
}

/// Writing `channel target lun` has the host look for exactly that device.
pub fn scan_path(host: u32) -> PathBuf {
    PathBuf::from(format!("/sys/class/scsi_host/host{host}/scan"))
}
