//! Where a volume is, or would be: its links, its devices, and what is scanned for it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::devices::multipath;
use crate::error::Result;
use crate::host::view::links;
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
    let with_disk = || -> Vec<(Route, DeviceName)> {
        let routes = Fabric::look(&host.root).routes(request);
        routes.into_iter().filter_map(|route| route.disk(&host.root).map(|disk| (route, disk))).collect()
    };
    let existing = |disks: &[(Route, DeviceName)]| -> Vec<PathBuf> {
        let link = |(route, disk): &(Route, DeviceName)| {
            links::of_fibre_channel(&host.root, &route.host, route.target.wwpn, route.lun(), disk)
        };
        let mut found: Vec<PathBuf> = disks.iter().filter_map(link).collect();
        found.dedup();
        found
    };
    // The kernel has a disk a moment before udev has its link.
    let complete = wait::until(Instant::now() + UDEV, || {
        let disks = with_disk();
        let paths = existing(&disks);
        Ok((paths.len() >= disks.len()).then_some(paths))
    })?;
    Ok(complete.unwrap_or_else(|| existing(&with_disk())))
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
