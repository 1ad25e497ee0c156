//! NVMe namespaces, each with the controllers that lead to it.

use std::collections::BTreeMap;

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::block;
use crate::host::view::nvme_class::{Controller, Namespace};
use crate::identifiers::{DeviceName, Wwid};

use super::volume::{Connection, Kind, Path, Volume};

/// One volume for each namespace, local ones included.
pub fn volumes(root: &Root, controllers: &[Controller]) -> Vec<Volume> {
    let mut by_device: BTreeMap<DeviceName, Vec<(&Controller, &Namespace)>> = BTreeMap::new();
    for controller in controllers {
        for namespace in &controller.namespaces {
            by_device.entry(namespace.device.clone()).or_default().push((controller, namespace));
        }
    }
    by_device.into_iter().map(|(device, ways)| volume(root, device, &ways)).collect()
}

fn volume(root: &Root, device: DeviceName, ways: &[(&Controller, &Namespace)]) -> Volume {
    let identity =
        attribute::text(&root.path(format!("/sys/block/{device}/wwid"))).as_deref().and_then(Wwid::from_udev);
    let size = block::size(root, &device);
    let paths = ways.iter().map(|(controller, namespace)| Path {
        device: namespace.path.clone(),
        address: controller.name.clone(),
        state: namespace.access.clone(),
        identity: identity.clone(),
        size,
        connection: connection(controller),
        usable: controller.state == "live" && is_accessible(namespace),
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
    }
}

fn connection(controller: &Controller) -> Connection {
    Connection {
        transport: format!("nvme-{}", controller.transport),
        target: controller.subsystem.clone(),
        portal: Some(controller.portal()),
        name: Some(controller.name.clone()),
        state: Some(controller.state.clone()),
    }
}

fn is_accessible(namespace: &Namespace) -> bool {
    namespace.access.as_deref().is_none_or(|state| matches!(state, "optimized" | "non-optimized"))
}

/// A controller as it is listed.
pub fn summary(controller: &Controller) -> super::Controller {
    super::Controller {
        name: controller.name.clone(),
        subsystem: controller.subsystem.clone(),
        transport: controller.transport.clone(),
        portal: controller.portal(),
        state: controller.state.clone(),
        discovery: controller.is_discovery(),
        namespaces: controller.namespaces.iter().map(|namespace| namespace.device.clone()).collect(),
    }
}
