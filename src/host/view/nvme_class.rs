//! `/sys/class/nvme` (kernel: drivers/nvme/host/sysfs.c): every controller of the host, local or over a fabric.

use crate::host::attribute;
use crate::host::root::Root;
use crate::identifiers::DeviceName;

const CONTROLLERS: &str = "/sys/class/nvme";

/// `/sys/class/nvme/nvmeN`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    pub name: String,
    /// `subsysnqn`
    pub subsystem: Option<String>,
    /// `transport`: `tcp`, `rdma`, `fc`, `loop`, `pcie`
    pub transport: String,
    /// `address`: `traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.9`; a PCI address for `pcie`
    pub address: String,
    /// `state`: `live`, `connecting`, `resetting`, `deleting` ...
    pub state: String,
    /// `hostnqn`; kernels before 5.2 do not show it.
    pub host_nqn: Option<String>,
    /// `cntrltype`: `io`, `discovery`, `admin`; kernels before 5.15 do not show it.
    pub purpose: Option<String>,
    pub namespaces: Vec<Namespace>,
}

/// A namespace as one controller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// `nvme0c1n1` below the controller with native multipath, else the device itself.
    pub path: DeviceName,
    /// The device that is used: `nvme0n1`.
    pub device: DeviceName,
    /// `ana_state`; absent without ANA.
    pub access: Option<String>,
}

impl Controller {
    pub fn is_fabric(&self) -> bool {
        self.transport != "pcie"
    }

    /// A controller that only tells what else there is has no namespaces by nature.
    pub fn is_discovery(&self) -> bool {
        const DISCOVERY: &str = "nqn.2014-08.org.nvmexpress.discovery";
        self.subsystem.as_deref() == Some(DISCOVERY) || self.purpose.as_deref().is_some_and(|kind| kind != "io")
    }

    /// `10.0.0.1:4420` of an address over IP, else the address as it is.
    pub fn portal(&self) -> String {
        let field = |key: &str| self.address.split(',').find_map(|part| part.trim().strip_prefix(key));
        match (field("traddr="), field("trsvcid=")) {
            (Some(address), Some(port)) if address.contains(':') => format!("[{address}]:{port}"),
            (Some(address), Some(port)) => format!("{address}:{port}"),
            (Some(address), None) => address.to_owned(),
            _ => self.address.clone(),
        }
    }
}

/// All controllers, by number.
pub fn all(root: &Root) -> Vec<Controller> {
    let mut found: Vec<(u32, Controller)> = attribute::unsorted_names(&root.path(CONTROLLERS))
        .filter_map(|name| Some((name.strip_prefix("nvme")?.parse().ok()?, read(root, &name)?)))
        .collect();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, controller)| controller).collect()
}

fn read(root: &Root, name: &str) -> Option<Controller> {
    let directory = root.path(CONTROLLERS).join(name);
    let text = |attribute: &str| attribute::text(&directory.join(attribute)).filter(|text| !text.is_empty());
    let namespaces = attribute::names(&directory)
        .iter()
        .filter_map(|below| {
            let (path, device) = (below.parse().ok()?, device_of(below)?);
            let access = attribute::text(&directory.join(below).join("ana_state"));
            Some(Namespace { path, device, access: access.filter(|state| !state.is_empty()) })
        })
        .collect();
    Some(Controller {
        name: name.to_owned(),
        subsystem: text("subsysnqn"),
        transport: text("transport")?,
        address: text("address").unwrap_or_default(),
        state: text("state").unwrap_or_default(),
        host_nqn: text("hostnqn"),
        purpose: text("cntrltype"),
        namespaces,
    })
}

/// `nvme0c3n1` and `nvme0n1` are both `nvme0n1`; partitions and everything else are None.
pub fn device_of(name: &str) -> Option<DeviceName> {
    let (subsystem, rest) = digits(name.strip_prefix("nvme")?)?;
    let rest = rest.strip_prefix('c').map_or(Some(rest), |rest| digits(rest).map(|(_, rest)| rest))?;
    let (namespace, rest) = digits(rest.strip_prefix('n')?)?;
    if rest.is_empty() { format!("nvme{subsystem}n{namespace}").parse().ok() } else { None }
}

fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}
