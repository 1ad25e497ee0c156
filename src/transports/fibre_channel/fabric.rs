//! What this host sees of the fabric, and which addresses of it a volume has.

use crate::error::{Error, Result};
use crate::host::root::Root;
use crate::host::view::fc_host::{self, FcHost};
use crate::host::view::{fc_remote_port, fc_transport, scsi, zfcp};
use crate::identifiers::{DeviceName, Hctl, Lun, Wwpn};

use super::request::{Request, Target};

/// A port of the array as one port of this host knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Port {
    host: u32,
    channel: u32,
    id: u32,
    wwpn: Wwpn,
    is_online: bool,
}

/// The ports of this host and of the arrays, at one moment.
#[derive(Debug)]
pub struct Fabric {
    hosts: Vec<FcHost>,
    ports: Vec<Port>,
}

/// One way to the volume: a SCSI address on a port of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub host: FcHost,
    pub target: Target,
    pub hctl: Hctl,
    /// Whether the remote port is there now.
    pub is_online: bool,
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "host{} {} ({})", self.host.number, self.target, self.hctl)
    }
}

impl Route {
    /// The disk at the address.
    pub fn disk(&self, root: &Root) -> Option<DeviceName> {
        scsi::disk_at(root, &self.hctl)
    }

    /// The LUN as the kernel numbers it.
    pub fn lun(&self) -> Lun {
        kernel_lun(&self.host, self.target.lun)
    }
}

/// zfcp takes LUNs beyond 16 bits the other way round.
pub fn kernel_lun(host: &FcHost, lun: Lun) -> Lun {
    if host.ccw_device().is_some() { lun.of_zfcp() } else { lun }
}

impl Fabric {
    pub fn look(root: &Root) -> Fabric {
        Fabric { hosts: hosts(root), ports: ports(root) }
    }

    pub fn hosts(&self) -> &[FcHost] {
        &self.hosts
    }

    /// As seen from some of the ports of this host.
    pub fn only(mut self, hosts: &[u32]) -> Fabric {
        self.hosts.retain(|host| hosts.contains(&host.number));
        self
    }

    pub fn check_hosts(&self) -> Result<()> {
        if self.hosts.is_empty() { Err(Error::NoFibreChannelHosts) } else { Ok(()) }
    }

    /// Every address the volume may have on this host, whatever the initiator map says: ports of the array that are
    /// away or old included.
    pub fn routes(&self, request: &Request) -> Vec<Route> {
        self.hosts.iter().flat_map(|host| self.of_host(host, &request.targets)).collect()
    }

    /// The same, as the kernel writes them.
    pub fn addresses(&self, request: &Request) -> Vec<Hctl> {
        self.routes(request).into_iter().map(|route| route.hctl).collect()
    }

    /// The addresses to scan, those of ports that are there first.  A port the fabric knows twice counts by the one
    /// that is online.
    pub fn routes_to_scan(&self, request: &Request) -> Vec<Route> {
        let mut routes: Vec<Route> =
            self.hosts.iter().flat_map(|host| self.of_host(host, request.targets_of(host.port_name))).collect();
        let online: Vec<(u32, Target)> =
            routes.iter().filter(|route| route.is_online).map(|route| (route.host.number, route.target)).collect();
        routes.retain(|route| route.is_online || !online.contains(&(route.host.number, route.target)));
        routes.sort_by_key(|route| !route.is_online);
        routes
    }

    /// Host and LUN of the scans without channel and target: only when no port of the array is known to any host
    /// port that may reach it.
    pub fn wildcards(&self, request: &Request) -> Vec<(FcHost, Lun)> {
        if !request.wildcard_scan || !self.routes_to_scan(request).is_empty() {
            return Vec::new();
        }
        let mut wildcards = Vec::new();
        for host in &self.hosts {
            let mut luns: Vec<Lun> =
                request.targets_of(host.port_name).iter().map(|target| kernel_lun(host, target.lun)).collect();
            luns.sort_unstable();
            luns.dedup();
            wildcards.extend(luns.into_iter().map(|lun| (host.clone(), lun)));
        }
        wildcards
    }

    fn of_host(&self, host: &FcHost, targets: &[Target]) -> Vec<Route> {
        let route = |port: &Port, target: &Target| Route {
            host: host.clone(),
            target: *target,
            hctl: Hctl {
                host: host.number,
                channel: port.channel,
                target: port.id,
                lun: kernel_lun(host, target.lun).kernel(),
            },
            is_online: port.is_online,
        };
        targets
            .iter()
            .flat_map(|target| {
                let of_target = |port: &&Port| port.host == host.number && port.wwpn == target.wwpn;
                self.ports.iter().filter(of_target).map(move |port| route(port, target))
            })
            .collect()
    }
}

/// On IBM Z an adapter that is offline is none.
fn hosts(root: &Root) -> Vec<FcHost> {
    let mut hosts = fc_host::all(root);
    hosts.retain(|host| host.is_online() || !on_zfcp(root, host));
    hosts
}

fn on_zfcp(root: &Root, host: &FcHost) -> bool {
    host.ccw_device().is_some_and(|adapter| zfcp::has_adapter(root, &adapter))
}

/// From the remote ports, and from targets that have none: a driver need not tell both.
fn ports(root: &Root) -> Vec<Port> {
    let remote = fc_remote_port::addresses(root).into_iter().filter_map(|port| {
        let is_online = port.is_online();
        Some(Port { host: port.host, channel: port.channel, id: port.target_id?, wwpn: port.port_name, is_online })
    });
    let mut ports: Vec<Port> = remote.collect();
    for target in fc_transport::all(root) {
        let fc_transport::Target { host, channel, id } = target;
        let same = |port: &Port| port.host == host && port.channel == channel && port.id == id;
        if !ports.iter().any(same)
            && let Some(wwpn) = target.port_name(root)
        {
            ports.push(Port { host, channel, id, wwpn, is_online: true });
        }
    }
    ports
}
