//! Where a volume is, or would be: its links, its devices, and what is scanned for it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::devices::multipath;
use crate::error::Result;
use crate::host::root::Root;
use crate::host::view::{links, scsi};
use crate::host::{Host, wait};
use crate::identifiers::DeviceName;
use crate::transports::settings::Settings;

use super::disconnect;
use super::fabric::{Fabric, Route};
use super::operation::Context;
use super::request::Request;
use super::scan::Scan;

/// How long udev may be behind the kernel.
const UDEV: Duration = Duration::from_secs(5);

/// The by-path links of the volume that exist, in the order of host ports and properties.  Nothing is scanned.
pub fn volume_paths(host: &Host, request: &Request, _settings: &Settings) -> Result<Vec<PathBuf>> {
    let root = &host.root;
    // The kernel has a disk a moment before udev has its link.
    let complete = wait::until(Instant::now() + UDEV, || {
        let (paths, disks) = existing(root, request);
        Ok((paths.len() >= disks).then_some(paths))
    })?;
    Ok(complete.unwrap_or_else(|| existing(root, request).0))
}

/// The links there are now, and of how many disks.
fn existing(root: &Root, request: &Request) -> (Vec<PathBuf>, usize) {
    let (mut paths, mut disks) = (Vec::new(), 0);
    for route in Fabric::look(root).routes(request) {
        if let Some(link) = by_name(root, &route) {
            disks += 1;
            paths.push(link);
        } else if let Some(disk) = route.disk(root) {
            disks += 1;
            paths.extend(links::of_fibre_channel(root, &route.host, route.target.wwpn, route.lun(), &disk));
        }
    }
    paths.dedup();
    (paths, disks)
}

/// The link by the name it should have, when the disk it leads to is at the address: then nothing has to be listed.
fn by_name(root: &Root, route: &Route) -> Option<PathBuf> {
    let (link, disk) = links::fibre_channel(root, &route.host, route.target.wwpn, route.lun())?;
    (scsi::hctl(root, &disk).as_ref() == Some(&route.hctl)).then_some(link)
}

/// The kernel names of the volume on this host: its multipath map, if it has one, then its disks.
pub fn volume_devices(host: &Host, request: &Request, settings: &Settings) -> Vec<DeviceName> {
    let context = Context::new(host, request.clone(), settings.clone());
    let disks = disconnect::disks(&context, &Fabric::look(&host.root));
    let map = multipath::find_map(host, &disks).map(|map| map.device);
    map.into_iter().chain(disks).collect()
}

/// What an attach would write: the number of a SCSI host, and channel, target and LUN.  `hosts` says which of them
/// may be scanned.
pub fn scan_plan(host: &Host, request: &Request, hosts: &[u32]) -> Vec<(u32, String)> {
    let fabric = Fabric::look(&host.root).only(hosts);
    let routes = fabric.routes_to_scan(request);
    let online = routes.iter().filter(|route| route.is_online).map(Scan::of);
    let wildcards = fabric.wildcards(request);
    let all = online.chain(wildcards.iter().map(|(host, lun)| Scan::wildcard(host.number, *lun)));
    all.map(|scan| (scan.host, scan.what)).collect()
}
