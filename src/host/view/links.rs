//! `/dev/disk/by-path` and `/dev/disk/by-id`: the links udev makes.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::device_mapper::Map;
use crate::host::view::fc_host::FcHost;
use crate::host::view::iscsi_session::Session;
use crate::identifiers::{DeviceName, Iqn, Lun, Portal, Wwid, Wwpn};

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

/// The names udev's `path_id` may give a LUN behind a port of this host; `lun` as the kernel numbers it.
pub fn fibre_channel_names(host: &FcHost, wwpn: Wwpn, lun: Lun) -> Vec<String> {
    let tail = format!("fc-{}-lun-{}", wwpn.prefixed(), lun.by_path());
    let Some(adapter) = host.adapter() else {
        return vec![tail];
    };
    if host.ccw_device().is_some() {
        return vec![
            format!("ccw-{adapter}-{tail}"),
            // Before systemd 229, and RHEL up to 7: the unit's address.
            format!("ccw-{adapter}-zfcp-{}:{}", wwpn.prefixed(), lun.address()),
            format!("ccw-{adapter}-fc-{}-lun-{}", wwpn.prefixed(), lun.address()),
        ];
    }
    let platform = host.platform().map_or_else(String::new, |platform| format!("{platform}-"));
    // The virtual adapters of POWER stand on no bus path_id knows.
    vec![format!("{platform}pci-{adapter}-{tail}"), format!("pci-{adapter}-{tail}"), tail]
}

/// The by-path link of a Fibre Channel LUN by its name, and the disk it leads to.
pub fn fibre_channel(root: &Root, host: &FcHost, wwpn: Wwpn, lun: Lun) -> Option<(PathBuf, DeviceName)> {
    fibre_channel_names(host, wwpn, lun).into_iter().find_map(|name| {
        let link = Path::new(BY_PATH).join(name);
        let disk = leads_to(root, &link)?;
        Some((link, disk))
    })
}

/// The by-path link of a Fibre Channel disk.
pub fn of_fibre_channel(root: &Root, host: &FcHost, wwpn: Wwpn, lun: Lun, disk: &DeviceName) -> Option<PathBuf> {
    let leads_there = |link: &PathBuf| leads_to(root, link).as_ref() == Some(disk);
    let named = fibre_channel_names(host, wwpn, lun).into_iter().map(|name| Path::new(BY_PATH).join(name));
    named.into_iter().find(leads_there).or_else(|| {
        // An adapter on yet another bus: the end of the name is the same.
        let tail = format!("fc-{}-lun-{}", wwpn.prefixed(), lun.by_path());
        let mut names = attribute::names(&root.path(BY_PATH)).into_iter().filter(|name| name.ends_with(&tail));
        names.find_map(|name| Some(Path::new(BY_PATH).join(name)).filter(leads_there))
    })
}

/// The link by-id has for a multipath map under its identity, and the one device-mapper has under its name.
pub fn of_map(root: &Root, map: &Map) -> Option<PathBuf> {
    let by_identity = Path::new(BY_ID).join(format!("dm-uuid-mpath-{}", map.wwid));
    let by_name = Path::new("/dev/mapper").join(&map.name);
    [by_identity, by_name].into_iter().find(|link| leads_to(root, link).as_ref() == Some(&map.device))
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

/// The links of encrypted volumes, each with the path of the device its name holds.
pub fn encrypted(root: &Root) -> Vec<(PathBuf, PathBuf)> {
    let mut found: Vec<(PathBuf, PathBuf)> = attribute::unsorted_names(&root.path(BY_ID))
        .filter_map(|name| {
            let held = named_device(name.strip_prefix("os-brick+")?);
            Some((Path::new(BY_ID).join(&name), held))
        })
        .collect();
    found.sort_unstable();
    found
}

/// `=2B` and `=3D`, in the name of an encrypted volume's link.
static ESCAPED: LazyLock<Regex> = LazyLock::new(|| Regex::new("=(?:(2B)|3D)").expect("a pattern that compiles"));

/// `dev+dm-0` is `/dev/dm-0`; a `+` that was there is `=2B`, an `=` that would read as one of these is `=3D`.
fn named_device(escaped: &str) -> PathBuf {
    let path = format!("/{}", escaped.replace('+', "/"));
    let plain = ESCAPED.replace_all(&path, |found: &Captures<'_>| if found.get(1).is_some() { "+" } else { "=" });
    PathBuf::from(plain.into_owned())
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

/// The device a link of udev's leads to, whether or not that is there.
pub fn leads_to(root: &Root, link: &Path) -> Option<DeviceName> {
    DeviceName::from_path(&attribute::link(&root.path(link))?)
}
