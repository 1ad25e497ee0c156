//! `/sys/class/nvme-fabrics/ctl/nvmeN`: the controllers of the fabrics, and `/sys/class/nvme/nvmeN`: these and the local
//! ones (kernel: drivers/nvme/host/sysfs.c).

use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::nvme_namespace::Path;
use crate::identifiers::{DeviceName, FabricPortal, Nqn};

const OF_FABRICS: &str = "/sys/class/nvme-fabrics/ctl";
const ALL: &str = "/sys/class/nvme";
/// What the kernel waits between two tries to reconnect, when it does not say.
const RECONNECT_DELAY: u64 = 10;

/// One connection to a subsystem: `nvme3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Controller {
    number: u32,
    class: &'static str,
}

/// `state`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Live,
    /// Lost, and being brought back.
    Connecting,
    /// `new`, `resetting`, `deleting`, `dead` ...
    Other(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Live => "live",
            State::Connecting => "connecting",
            State::Other(other) => other,
        })
    }
}

impl Controller {
    /// A fabric's, from `nvme3`.
    pub fn named(name: &str) -> Option<Controller> {
        Controller::of_class(OF_FABRICS, name)
    }

    /// Those a directory has by their names, by number.
    pub fn all_in(directory: &FilePath) -> Vec<Controller> {
        in_directory(directory, OF_FABRICS)
    }

    fn of_class(class: &'static str, name: &str) -> Option<Controller> {
        let digits = name.strip_prefix("nvme")?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten().map(|number| Controller { number, class })
    }

    pub fn name(&self) -> String {
        format!("nvme{}", self.number)
    }

    /// `/dev/nvme3`
    pub fn dev_path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/nvme{}", self.number))
    }

    fn directory(&self) -> PathBuf {
        PathBuf::from(format!("{}/nvme{}", self.class, self.number))
    }

    fn attribute(&self, root: &Root, name: &str) -> Option<String> {
        attribute::text(&root.path(self.directory().join(name))).filter(|text| !text.is_empty())
    }

    /// `state`; None when the controller is gone.
    pub fn state(&self, root: &Root) -> Option<State> {
        Some(match self.attribute(root, "state")?.as_str() {
            "live" => State::Live,
            "connecting" => State::Connecting,
            other => State::Other(other.to_owned()),
        })
    }

    pub fn is_live(&self, root: &Root) -> bool {
        self.state(root) == Some(State::Live)
    }

    pub fn exists(&self, root: &Root) -> bool {
        attribute::named(&root.path(self.directory()))
    }

    /// `transport`: `tcp`, `rdma`, `fc`, `loop`, `pcie`
    pub fn transport(&self, root: &Root) -> Option<String> {
        self.attribute(root, "transport")
    }

    pub fn is_of_fabric(&self, root: &Root) -> bool {
        self.transport(root).is_some_and(|transport| transport != "pcie")
    }

    /// `address`: `traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.9`; a PCI address for `pcie`
    pub fn address(&self, root: &Root) -> Option<String> {
        self.attribute(root, "address")
    }

    /// `transport` and `address`
    pub fn portal(&self, root: &Root) -> Option<FabricPortal> {
        FabricPortal::of_kernel(&self.transport(root)?, &self.address(root)?)
    }

    /// `subsysnqn`
    pub fn subsystem(&self, root: &Root) -> Option<String> {
        self.attribute(root, "subsysnqn")
    }

    /// `cntrltype`: `io`, `discovery`, `admin`; kernels before 5.15 do not show it.
    pub fn purpose(&self, root: &Root) -> Option<String> {
        self.attribute(root, "cntrltype")
    }

    /// `hostnqn`; kernels before 5.2 do not show it.
    pub fn host_nqn(&self, root: &Root) -> Option<String> {
        self.attribute(root, "hostnqn")
    }

    /// `reconnect_delay`, in seconds; kernels before 5.7 do not show it.
    pub fn reconnect_delay(&self, root: &Root) -> u64 {
        self.attribute(root, "reconnect_delay").and_then(|text| text.parse().ok()).unwrap_or(RECONNECT_DELAY)
    }

    /// Writing `1` ends the connection; the write returns when it has ended.
    pub fn delete_path(&self) -> PathBuf {
        self.directory().join("delete_controller")
    }

    /// Writing `1` has the kernel look for namespaces, soon.
    pub fn rescan_path(&self) -> PathBuf {
        self.directory().join("rescan_controller")
    }

    /// The portal it is connected to, if it is a connection of this host to the subsystem.  `host_nqn` tells connections
    /// apart that are to the same portal under different names; where the kernel does not show the name, the portal alone
    /// decides.
    fn portal_of(&self, root: &Root, nqn: &Nqn, host_nqn: Option<&Nqn>) -> Option<FabricPortal> {
        if self.subsystem(root)? != nqn.as_str() {
            return None;
        }
        let same_host = match (self.host_nqn(root), host_nqn) {
            (Some(shown), Some(wanted)) => shown == wanted.as_str(),
            _ => true,
        };
        if same_host { self.portal(root) } else { None }
    }

    /// Whether it is a connection of this host to one of these portals of a subsystem.
    pub fn leads_to(&self, root: &Root, portals: &[FabricPortal], nqn: &Nqn, host_nqn: Option<&Nqn>) -> bool {
        self.portal_of(root, nqn, host_nqn).is_some_and(|portal| portals.contains(&portal))
    }

    /// The controller's path to a device the kernel has joined: to `nvme0n1` that is `nvme0c3n1`.
    pub fn path_to(&self, device: &DeviceName) -> Option<Path> {
        let (subsystem, namespace) = device.as_str().rsplit_once('n')?;
        Path::named(&self.directory(), &format!("{subsystem}c{}n{namespace}", self.number))
    }

    /// Every namespace the controller leads to: `nvme0c3n1` below it with native multipath, else `nvme3n1`.
    pub fn paths(&self, root: &Root) -> Vec<Path> {
        attribute::names(&root.path(self.directory()))
            .iter()
            .filter_map(|name| Path::named(&self.directory(), name))
            .collect()
    }
}

/// Every controller of the host by number, local or over a fabric.
pub fn all(root: &Root) -> Vec<Controller> {
    of_class(root, ALL)
}

/// Every controller over a fabric, by number.
pub fn of_fabrics(root: &Root) -> Vec<Controller> {
    of_class(root, OF_FABRICS)
}

fn of_class(root: &Root, class: &'static str) -> Vec<Controller> {
    in_directory(&root.path(class), class)
}

fn in_directory(directory: &FilePath, class: &'static str) -> Vec<Controller> {
    let names = attribute::unsorted_names(directory);
    let mut found: Vec<Controller> = names.filter_map(|name| Controller::of_class(class, &name)).collect();
    found.sort_unstable();
    found
}

/// The controller between this host and one portal of a subsystem.
pub fn of_portal(root: &Root, portal: &FabricPortal, nqn: &Nqn, host_nqn: Option<&Nqn>) -> Option<Controller> {
    let portals = std::slice::from_ref(portal);
    of_fabrics(root).into_iter().find(|controller| controller.leads_to(root, portals, nqn, host_nqn))
}

/// The same for several portals, in their order, out of some controllers.
pub fn of_portals(
    root: &Root,
    controllers: Vec<Controller>,
    portals: &[FabricPortal],
    nqn: &Nqn,
    host_nqn: Option<&Nqn>,
) -> Vec<Controller> {
    let connected: Vec<(Controller, FabricPortal)> = controllers
        .into_iter()
        .filter_map(|controller| {
            let portal = controller.portal_of(root, nqn, host_nqn)?;
            Some((controller, portal))
        })
        .collect();
    let of = |wanted| connected.iter().find(|(_, portal)| portal == wanted).map(|(controller, _)| controller.clone());
    portals.iter().filter_map(of).collect()
}

/// The controllers behind a device the kernel has joined from the paths of its controllers: `/sys/block/NAME/device` is
/// its subsystem then, which has a link to each.
pub fn of_joined(root: &Root, device: &DeviceName) -> Vec<Controller> {
    Controller::all_in(&root.path(format!("/sys/block/{device}/device")))
}
