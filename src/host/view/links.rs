//! `/dev/disk/by-path` and `/dev/disk/by-id`: the links udev makes.

use std::path::{Path, PathBuf};

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::iscsi_session::Session;
use crate::identifiers::{DeviceName, Iqn, Lun, Portal, Wwid};

pub const BY_PATH: &str = "/dev/disk/by-path";
pub const BY_ID: &str = "/dev/disk/by-id";

/// `ip-10.0.0.1:3260-iscsi-IQN-lun-1`: udev's name without the prefix of the adapter.
pub fn iscsi_name(portal: &Portal, iqn: &Iqn, lun: Lun) -> String {
    format!("ip-{}:{}-iscsi-{iqn}-lun-{}", portal.address(), portal.port(), lun.by_path())
}

/// The by-path links of one iSCSI LUN that exist; with an offload adapter udev puts `pci-...-` before the name.
pub fn iscsi(root: &Root, portal: &Portal, iqn: &Iqn, lun: Lun, on_adapter: bool) -> Vec<PathBuf> {
    let name = iscsi_name(portal, iqn, lun);
    if !on_adapter {
        let link = Path::new(BY_PATH).join(name);
        return if attribute::exists(&root.path(&link)) { vec![link] } else { Vec::new() };
    }
    let tail = format!("-{name}");
    attribute::names(&root.path(BY_PATH))
        .into_iter()
        .filter(|found| *found == name || found.ends_with(&tail))
        .map(|found| Path::new(BY_PATH).join(found))
        .filter(|link| attribute::exists(&root.path(link)))
        .collect()
}

/// The by-path link of a session's LUN, in the kernel's own spelling of the address.
pub fn of_session(root: &Root, session: &Session, lun: Lun) -> Option<PathBuf> {
    let iqn: Iqn = session.target_name.parse().ok()?;
    iscsi(root, session.portal.as_ref()?, &iqn, lun, true).into_iter().next()
}

/// udev's links in by-id that lead to one of the devices, dangling ones counted, each with its device.  The links of
/// encrypted volumes are not udev's.
pub fn by_id_of(root: &Root, devices: &[DeviceName]) -> Vec<(PathBuf, DeviceName)> {
    attribute::names(&root.path(BY_ID))
        .into_iter()
        .filter(|name| !name.starts_with("os-brick"))
        .filter_map(|name| {
            let link = Path::new(BY_ID).join(name);
            let device = leads_to(root, &link)?;
            devices.contains(&device).then_some((link, device))
        })
        .collect()
}

/// The identity udev gave a disk, from its `scsi-*` link; through its map when the link leads there already.
pub fn udev_identity(root: &Root, disk: &DeviceName) -> Option<Wwid> {
    attribute::names(&root.path(BY_ID)).into_iter().find_map(|name| {
        let identity = name.strip_prefix("scsi-")?;
        let target = leads_to(root, &Path::new(BY_ID).join(&name))?;
        let of_map = target.is_device_mapper() && crate::host::view::block::slaves(root, &target).contains(disk);
        if target == *disk || of_map { Wwid::from_udev(identity) } else { None }
    })
}

/// Whether udev made a `scsi-*` link of the identity.
pub fn has_identity(root: &Root, wwid: &Wwid) -> bool {
    // T10 designators have blanks in sysfs and underscores in links; a slash has no place in either.
    !wwid.as_str().contains('/') && attribute::named(&root.path(Path::new(BY_ID).join(format!("scsi-{wwid}"))))
}

/// The identity in the first `scsi-*` link that leads to one of the devices, also through other links.
pub fn identity_of(root: &Root, devices: &[DeviceName]) -> Option<Wwid> {
    if devices.is_empty() {
        return None;
    }
    attribute::names(&root.path(BY_ID)).into_iter().find_map(|name| {
        let identity = name.strip_prefix("scsi-")?;
        let link = Path::new(BY_ID).join(&name);
        let mut device = leads_to(root, &link)?;
        if !devices.contains(&device) {
            // udev's own links lead to devices; an encrypted volume's leads to /dev/mapper, from where it goes on.
            let place = attribute::link(&root.path(&link))?;
            if !place.parent().is_some_and(|parent| parent.ends_with("mapper")) {
                return None;
            }
            device = crate::host::view::block::behind(root, &link)?;
        }
        let leads_on = devices.contains(&device) && attribute::exists(&root.path(&link));
        if leads_on { Wwid::from_udev(identity) } else { None }
    })
}

fn leads_to(root: &Root, link: &Path) -> Option<DeviceName> {
    DeviceName::from_path(&attribute::link(&root.path(link))?)
}
