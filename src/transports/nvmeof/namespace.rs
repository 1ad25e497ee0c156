//! Which device the volume is.

use log::{debug, info, warn};

use crate::error::Result;
use crate::host::Host;
use crate::host::view::block;
use crate::host::view::nvme_controller::{self, Controller};
use crate::host::view::nvme_identify;
use crate::host::view::nvme_namespace::{self, Identity, Path};
use crate::identifiers::{DeviceName, Uuid};
use crate::log::NVMEOF;

use super::memory;
use super::operation::Context;
use super::request::Target;

/// The namespace of the target, as it is found on this host.
pub struct Found {
    pub device: DeviceName,
    /// Whether a path leads to it that the storage serves; None of them may, while it fails over.
    pub accessible: bool,
}

/// The devices behind a target's controllers, for a target that has no identity: what is not among them later is new.
#[derive(Debug, Default, Clone)]
pub struct Before(Vec<DeviceName>);

impl Before {
    pub fn look(context: &Context, target: &Target) -> Before {
        Before(paths(context, target).into_iter().map(|(_, path)| path.device).collect())
    }
}

/// Every namespace behind the target's portals, with the controller that leads to it.
pub fn paths(context: &Context, target: &Target) -> Vec<(Controller, Path)> {
    let root = &context.host.root;
    of_target(context, target, nvme_controller::of_fabrics(root))
        .into_iter()
        .flat_map(|controller| {
            let paths = controller.paths(root);
            paths.into_iter().map(move |path| (controller.clone(), path))
        })
        .collect()
}

/// Those of some controllers that are the target's, in the order of its portals.
fn of_target(context: &Context, target: &Target, controllers: Vec<Controller>) -> Vec<Controller> {
    let root = &context.host.root;
    nvme_controller::of_portals(root, controllers, &target.portals, &target.nqn, context.host_nqn(target))
}

/// The device of a target that is on the host, whatever the state of its controllers.  A target without an identity has
/// the device it is remembered by, if that is behind its controllers.
pub fn device(context: &Context, target: &Target, remembered: Option<&DeviceName>) -> Option<DeviceName> {
    let Some(identity) = &target.identity else {
        let is_behind = |device: &&DeviceName| paths(context, target).iter().any(|(_, path)| path.device == **device);
        return remembered.filter(is_behind).cloned();
    };
    let search = Search { context, target, identity };
    search.by_memory().or_else(|| search.by_link()).or_else(|| search.by_subsystem()).or_else(|| {
        // Before Linux 4.15 there are no subsystems.
        search.among(nvme_controller::of_fabrics(&context.host.root))
    })
}

/// The search for the namespace of a target that is known by an identity.  Hosts have thousands of namespaces, so it
/// begins with guesses; what is behind the target's controllers decides whether one is right.
struct Search<'a> {
    context: &'a Context,
    target: &'a Target,
    identity: &'a Identity,
}

impl Search<'_> {
    /// Where it was the last time, if the kernel joins paths: else each controller has a device of its own.
    fn by_memory(&self) -> Option<DeviceName> {
        let (device, controller) = memory::namespace(&self.target.nqn, *self.identity)?;
        self.proven(&device, &[controller])
    }

    /// By udev's link of the identity.
    fn by_link(&self) -> Option<DeviceName> {
        let root = &self.context.host.root;
        let device = nvme_namespace::linked(root, self.identity)?;
        self.proven(&device, &nvme_controller::of_joined(root, &device))
    }

    /// By the subsystem of the target: of its controllers alone are the namespaces looked at.  The kernel numbers devices in
    /// the order namespaces appear, which often is that of their numbers.
    fn by_subsystem(&self) -> Option<DeviceName> {
        let root = &self.context.host.root;
        memory::subsystems(root, &self.target.nqn).find_map(|subsystem| {
            let controllers = subsystem.controllers(root);
            let guess = match self.identity {
                Identity::Nsid(number) => subsystem.joined(*number),
                Identity::Uuid(_) | Identity::Nguid(_) => None,
            };
            let device =
                guess.and_then(|device| self.proven(&device, &controllers)).or_else(|| self.among(controllers))?;
            memory::keep_subsystem(&self.target.nqn, &subsystem);
            Some(device)
        })
    }

    /// The device, if one of the target's controllers leads to it, joined by the kernel, and shows the identity there.
    fn proven(&self, device: &DeviceName, controllers: &[Controller]) -> Option<DeviceName> {
        let (root, target) = (&self.context.host.root, self.target);
        let leads = |controller: &&Controller| {
            controller.path_to(device).is_some_and(|path| path.is(root, self.identity))
                && controller.leads_to(root, &target.portals, &target.nqn, self.context.host_nqn(target))
        };
        let controller = controllers.iter().find(leads)?;
        memory::keep_namespace(&target.nqn, *self.identity, device, controller);
        Some(device.clone())
    }

    /// The first path that shows the identity, of those controllers that are the target's.
    fn among(&self, controllers: Vec<Controller>) -> Option<DeviceName> {
        let root = &self.context.host.root;
        let controllers = of_target(self.context, self.target, controllers);
        controllers.iter().find_map(|controller| {
            let path = controller.paths(root).into_iter().find(|path| path.is(root, self.identity))?;
            memory::keep_namespace(&self.target.nqn, *self.identity, &path.device, controller);
            Some(path.device)
        })
    }
}

/// Looks for the volume on live controllers.  `made` are controllers this attach connected: what they show was read
/// just now.  On the others a number may have changed hands unnoticed, so the controller itself is asked.
pub fn find(context: &Context, target: &Target, before: &Before, made: &[Controller]) -> Result<Option<Found>> {
    let host = &context.host;
    let root = &host.root;
    let live: Vec<(Controller, Path)> =
        paths(context, target).into_iter().filter(|(controller, _)| controller.is_live(root)).collect();
    let Some(identity) = &target.identity else {
        return Ok(new_device(host, &live, before));
    };
    let mut found: Option<Found> = None;
    for (controller, path) in live.iter().filter(|(_, path)| path.is(root, identity)) {
        if !is_ready(host, &path.device) || (!made.contains(controller) && !is_still(host, controller, path, identity))
        {
            continue;
        }
        let accessible = path.is_accessible(root);
        match &mut found {
            Some(found) => found.accessible |= accessible && found.device == path.device,
            None => {
                memory::keep_namespace(&target.nqn, *identity, &path.device, controller);
                found = Some(Found { device: path.device.clone(), accessible });
            }
        }
    }
    Ok(found)
}

/// The kernel has read its size, and udev's device node is there.
fn is_ready(host: &Host, device: &DeviceName) -> bool {
    block::size(&host.root, device).is_some_and(|size| size > 0) && block::has_node(&host.root, device)
}

/// New devices of our own controllers, accepted when they are all the same volume.
fn new_device(host: &Host, live: &[(Controller, Path)], before: &Before) -> Option<Found> {
    let root = &host.root;
    let new: Vec<&Path> = live
        .iter()
        .map(|(_, path)| path)
        .filter(|path| !before.0.contains(&path.device) && is_ready(host, &path.device))
        .collect();
    let first = new.first()?;
    let same = |path: &&&Path| {
        path.device == first.device || (path.uuid(root).is_some() && path.uuid(root) == first.uuid(root))
    };
    if let Some(other) = new.iter().find(|path| !same(path)) {
        warn!(target: NVMEOF, "{} and {} are both new, and nothing tells which is the volume", first.device, other.device);
        return None;
    }
    let accessible = new.iter().any(|path| path.is_accessible(root));
    Some(Found { device: first.device.clone(), accessible })
}

/// Whether the storage still means this volume by the number the host knows it by.  The kernel keeps what it read when
/// the namespace appeared until it looks again.
fn is_still(host: &Host, controller: &Controller, path: &Path, identity: &Identity) -> bool {
    let (Identity::Uuid(wanted) | Identity::Nguid(wanted)) = identity else { return true };
    let (Some(nsid), true) = (path.nsid(&host.root), host.runner.is_direct()) else { return true };
    let still = match identities(host, controller, nsid) {
        Ok(Some(shown)) => shown.is_empty() || shown.contains(wanted),
        // The storage has no namespace of this number; the look that is under way will remove it here too.
        Ok(None) => false,
        Err(error) => {
            debug!(target: NVMEOF, "{} cannot be asked for {}: {}", controller.name(), path.device, error.describe());
            true
        }
    };
    if !still {
        info!(target: NVMEOF, "{} is a leftover: namespace {nsid} is another volume by now", path.device);
    }
    still
}

/// What the storage says the namespace is, now; None when there is none of this number.
fn identities(host: &Host, controller: &Controller, nsid: u32) -> Result<Option<Vec<Uuid>>> {
    let device = controller.dev_path();
    let ask = |cns: u8| host.runner.nvme_identify(&device, nsid, cns);
    let mut shown =
        ask(nvme_identify::DESCRIPTORS)?.map(|answer| nvme_identify::identities(&answer)).unwrap_or_default();
    if shown.is_empty() {
        // Before NVMe 1.3 there are no descriptors.
        let Some(answer) = ask(nvme_identify::NAMESPACE)? else { return Ok(None) };
        shown.extend(nvme_identify::nguid(&answer));
    }
    Ok(Some(shown))
}
