//! NVMe namespaces, each with the controllers that lead to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::nvme_namespace::is_served;
use crate::host::view::{block, nvme_controller};
use crate::identifiers::{DeviceName, Wwid};

use super::Controller;
use super::volume::{Connection, Kind, Path, Volume};

/// The NVMe side of a host.
pub struct Nvme {
    /// One for each namespace, local ones included.
    pub volumes: Vec<Volume>,
    /// Those of fabrics.
    pub controllers: Vec<Controller>,
}

/// A way to a namespace, through one controller.
struct Way {
    name: DeviceName,
    access: Option<String>,
    controller: usize,
}

pub fn read(root: &Root) -> Nvme {
    let mut controllers = Vec::new();
    let mut ways: BTreeMap<DeviceName, Vec<Way>> = BTreeMap::new();
    for shown in nvme_controller::all(root) {
        let Some(mut controller) = controller(root, &shown) else {
            continue;
        };
        for path in shown.paths(root) {
            let Some(name) = path.name() else { continue };
            let way = Way { name, access: path.access(root), controller: controllers.len() };
            controller.namespaces.push(path.device.clone());
            ways.entry(path.device).or_default().push(way);
        }
        controllers.push(controller);
    }
    let volumes = ways.into_iter().map(|(device, ways)| volume(root, device, ways, &controllers)).collect();
    controllers.retain(|controller| controller.transport != "pcie");
    Nvme { volumes, controllers }
}

/// A controller as it is now, its namespaces left out; None when it is gone.
fn controller(root: &Root, shown: &nvme_controller::Controller) -> Option<Controller> {
    let subsystem = shown.subsystem(root);
    Some(Controller {
        name: shown.name(),
        discovery: is_discovery(subsystem.as_deref(), shown.purpose(root).as_deref()),
        subsystem,
        transport: shown.transport(root)?,
        portal: portal(&shown.address(root).unwrap_or_default()),
        state: shown.state(root).map(|state| state.to_string()).unwrap_or_default(),
        namespaces: Vec::new(),
    })
}

/// A controller that only tells what else there is has no namespaces by nature.
fn is_discovery(subsystem: Option<&str>, purpose: Option<&str>) -> bool {
    subsystem == Some("nqn.2014-08.org.nvmexpress.discovery") || purpose.is_some_and(|kind| kind != "io")
}

/// `10.0.0.1:4420` of an address over IP, else the address as it is.
fn portal(address: &str) -> String {
    let field = |key: &str| address.split(',').find_map(|part| part.trim().strip_prefix(key));
    match (field("traddr="), field("trsvcid=")) {
        (Some(host), Some(port)) if host.contains(':') => format!("[{host}]:{port}"),
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or(address).to_owned(),
    }
}

fn volume(root: &Root, device: DeviceName, ways: Vec<Way>, controllers: &[Controller]) -> Volume {
    let identity =
        attribute::text(&root.path(format!("/sys/block/{device}/wwid"))).as_deref().and_then(Wwid::from_udev);
    let size = block::size(root, &device);
    let paths = ways.into_iter().map(|way| {
        let controller = &controllers[way.controller];
        Path {
            device: way.name,
            address: controller.name.clone(),
            usable: controller.state == "live" && is_served(way.access.as_deref()),
            state: way.access,
            identity: identity.clone(),
            size,
            connection: Arc::new(connection(controller)),
        }
    });
    let paths = paths.collect();
    Volume {
        device,
        kind: Kind::Namespace,
        name: None,
        identity,
        size,
        paths,
        mounts: Vec::new(),
        consumers: Vec::new(),
        links: Vec::new(),
        open_count: None,
        record: None,
    }
}

fn connection(controller: &Controller) -> Connection {
    Connection {
        transport: format!("nvme-{}", controller.transport),
        target: controller.subsystem.clone(),
        portal: Some(controller.portal.clone()),
        name: Some(controller.name.clone()),
        state: Some(controller.state.clone()),
    }
}
