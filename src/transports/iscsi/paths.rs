//! Where the paths of a volume are in `/dev/disk/by-path`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::devices::multipath;
use crate::error::Result;
use crate::host::view::iscsi_session;
use crate::host::view::links;
use crate::host::{Host, wait};
use crate::identifiers::DeviceName;
use crate::transports::settings::Settings;

use super::disconnect::presence;
use super::operation::Context;
use super::request::{Request, Target};

/// How long udev may be behind the kernel.
const UDEV: Duration = Duration::from_secs(5);

/// The by-path links of the volume that exist, in the order of the properties.  Nothing is logged in to.
pub fn volume_paths(host: &Host, request: &Request, settings: &Settings) -> Result<Vec<PathBuf>> {
    let paths = existing(host, request, settings);
    if paths.len() >= request.targets.len() {
        return Ok(paths);
    }
    // The kernel has a disk a moment before udev has its link.
    let wanted = request.targets.iter().filter(|target| has_disk(host, target)).count();
    let found = wait::until(Instant::now() + UDEV, || {
        let paths = existing(host, request, settings);
        Ok((paths.len() >= wanted).then_some(paths))
    })?;
    Ok(found.unwrap_or_else(|| existing(host, request, settings)))
}

fn has_disk(host: &Host, target: &Target) -> bool {
    iscsi_session::of_portal(&host.root, &target.portal, &target.iqn)
        .iter()
        .any(|session| session.devices_with_lun(&host.root, target.lun.kernel()).iter().any(|(_, disk)| disk.is_some()))
}

fn existing(host: &Host, request: &Request, settings: &Settings) -> Vec<PathBuf> {
    let on_adapter = !matches!(settings.interface.as_str(), "default" | "iser");
    let mut paths: Vec<PathBuf> = Vec::new();
    for target in request.targets.iter().chain(&request.named) {
        let mut found = links::iscsi(&host.root, &target.portal, &target.iqn, target.lun, on_adapter);
        if found.is_empty() {
            // The kernel may spell the address in another way than the properties.
            found = iscsi_session::of_portal(&host.root, &target.portal, &target.iqn)
                .iter()
                .filter_map(|session| links::of_session(&host.root, session, target.lun))
                .collect();
        }
        for path in found {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}

/// The kernel names of the volume on this host: its multipath map, if it has one, then its disks.
pub fn volume_devices(host: &Host, request: &Request, settings: &Settings) -> Vec<DeviceName> {
    let disks = presence(&Context::new(host, request.clone(), settings.clone())).disks;
    let map = multipath::find_map(host, &disks).map(|map| map.device);
    map.into_iter().chain(disks).collect()
}
