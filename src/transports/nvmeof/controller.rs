//! One controller: had, made, given back.

use std::time::{Duration, Instant};

use log::{debug, info, warn};

use crate::error::{Error, Result};
use crate::host::act::bounded;
use crate::host::act::lock::{self, Held, Mode};
use crate::host::act::nvme::{self as kernel, Connection};
use crate::host::programs::{modprobe, nvme};
use crate::host::view::nvme_controller::{self, Controller, State};
use crate::host::view::nvme_core;
use crate::host::{Host, attribute, wait};
use crate::identifiers::{DeviceName, Fabric, FabricPortal};
use crate::log::NVMEOF;
use crate::transports::portals;

use super::operation::Context;
use super::request::Target;
use super::vacancy;

/// Connections of others to the same portal queue up here; the kernel makes one after the other.
const QUEUE: Duration = Duration::from_secs(180);
/// What a controller that was lost gets beside its own delay between two tries (upstream waits as long).
const RECONNECT: Duration = Duration::from_secs(10);
/// A controller that is made answers at once; one that is being removed is gone soon.
const SOON: Duration = Duration::from_secs(5);
/// A target that was just told of this host may refuse it for a moment.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
/// Commands on their way to a target that is dead get so long to fail.
const HANG_UP: Duration = Duration::from_secs(90);
const ANSWER: Duration = Duration::from_secs(30);

/// Within which namespaces appear after a controller was told to look.
const NAMESPACES: Duration = Duration::from_secs(2);

/// What stops a path that is on its way.
pub trait Stop: Sync {
    fn check(&self) -> Result<()>;
}

/// A controller this attach uses.  While it is held nobody disconnects it.
pub struct InUse {
    pub portal: FabricPortal,
    pub controller: Controller,
    /// Whether this attach connected it, so that it also has to disconnect it when it fails.
    pub made: bool,
    _lock: Held,
}

/// The controller of a portal that is there.
pub fn present(context: &Context, target: &Target, portal: &FabricPortal) -> Option<Controller> {
    nvme_controller::of_portal(&context.host.root, portal, &target.nqn, context.host_nqn(target))
}

/// A live controller of a portal: the one there is, told to look for namespaces, or a new one.
pub fn ensure(context: &Context, target: &Target, portal: &FabricPortal, stop: &dyn Stop) -> Result<InUse> {
    let place = context.connection(target, portal);
    if present(context, target, portal).is_none() {
        ask(context, portal, stop)?;
    }
    stop.check()?;
    let shared = lock::acquire(&place, Mode::Shared, Instant::now() + QUEUE)?;
    if let Some(in_use) = existing(context, target, portal, shared, stop)? {
        return Ok(in_use);
    }
    let exclusive = lock::acquire(&place, Mode::Exclusive, Instant::now() + QUEUE)?;
    stop.check()?;
    if present(context, target, portal).is_some() {
        exclusive.share()?;
        let found = existing(context, target, portal, exclusive, stop)?;
        return found.ok_or_else(|| not_live(portal, "the controller was removed by somebody else"));
    }
    let controller = connect(context, target, portal, stop)?;
    exclusive.share()?;
    Ok(InUse { portal: portal.clone(), controller, made: true, _lock: exclusive })
}

/// A portal is asked first whether anybody is there: the kernel makes one connection of the host after the other, and
/// one that is not answered would hold up all of them.
fn ask(context: &Context, portal: &FabricPortal, stop: &dyn Stop) -> Result<()> {
    match portal.ip() {
        Some(ip) if portal.fabric() == Fabric::Tcp && context.host.runner.is_direct() => {
            portals::wait_for_answer(ip, &|| stop.check())
        }
        _ => Ok(()),
    }
}

fn not_live(portal: &FabricPortal, reason: &str) -> Error {
    Error::PortalNotFound { portal: portal.to_string(), reason: reason.to_owned() }
}

/// The controller that is there, once it is live; None when there is none, or it went.
fn existing(
    context: &Context,
    target: &Target,
    portal: &FabricPortal,
    lock: Held,
    stop: &dyn Stop,
) -> Result<Option<InUse>> {
    let root = &context.host.root;
    let Some(controller) = present(context, target, portal) else { return Ok(None) };
    let patience = match controller.state(root) {
        Some(State::Connecting) => RECONNECT + Duration::from_secs(controller.reconnect_delay(root).min(600)),
        _ => SOON,
    };
    let settled = wait::until(Instant::now() + patience, || {
        stop.check()?;
        Ok(match controller.state(root) {
            Some(State::Live) => Some(true),
            None => Some(false),
            Some(_) => None,
        })
    })?;
    match settled {
        Some(true) => {
            // The storage may not announce new namespaces by itself.
            rescan(&context.host, &controller)?;
            Ok(Some(InUse { portal: portal.clone(), controller, made: false, _lock: lock }))
        }
        Some(false) => Ok(None),
        None => Err(not_live(portal, &format!("{} is there and not live", controller.name()))),
    }
}

/// Connects, again after 2 and 4 seconds, and waits until the controller is live.
fn connect(context: &Context, target: &Target, portal: &FabricPortal, stop: &dyn Stop) -> Result<Controller> {
    let mut tries = 1;
    loop {
        match connect_once(context, target, portal) {
            Ok(controller) => return Ok(controller),
            Err(error) if tries < TRIES => {
                debug!(target: NVMEOF, "{portal} of {}, try {tries}: {}", target.nqn, error.describe());
                let next = Instant::now() + BETWEEN_TRIES * tries;
                if wait::until_true(next, || stop.check().is_err()) {
                    return Err(error);
                }
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn connect_once(context: &Context, target: &Target, portal: &FabricPortal) -> Result<Controller> {
    let root = &context.host.root;
    let made = match ask_for_controller(context, target, portal)? {
        Some(controller) => Some(controller),
        None => {
            warn!(target: NVMEOF, "another program connected {portal} of {} at the same moment", target.nqn);
            None
        }
    };
    let found = wait::until(Instant::now() + SOON, || {
        let controller = made.clone().or_else(|| present(context, target, portal));
        Ok(controller.filter(|controller| controller.is_live(root)))
    })?;
    found.ok_or_else(|| not_live(portal, "the connection was made but its controller is not live"))
}

/// Asks the kernel, or has `nvme connect` do it.  None: there is a connection already, or the program does not tell.
fn ask_for_controller(context: &Context, target: &Target, portal: &FabricPortal) -> Result<Option<Controller>> {
    let host = &context.host;
    if !host.runner.is_direct() || nvme_core::has_client_configuration(&host.root) {
        return match nvme::connect(host, portal, &target.nqn, target.host_nqn.as_ref()) {
            Err(error) if nvme::is_already_connected(&error) => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(present(context, target, portal)),
        };
    }
    load_fabrics(host);
    match host.runner.nvme_connect(&options(context, target, portal))? {
        Connection::Already => Ok(None),
        Connection::Made(answer) => {
            let controller = parse_instance(&answer);
            let unknown = || not_live(portal, &format!("the kernel answered {answer:?}"));
            controller.map(Some).ok_or_else(unknown)
        }
    }
}

fn load_fabrics(host: &Host) {
    if !attribute::named(&host.root.path(kernel::FABRICS))
        && let Err(error) = modprobe::load(host, "nvme-fabrics")
    {
        warn!(target: NVMEOF, "{} is missing: {}", kernel::FABRICS, error.describe());
    }
}

/// What `nvme connect -Q 128 -l -1` asks the kernel for.  A controller that is lost is never given up, because with it
/// the device, and what was not written yet, would go.
fn options(context: &Context, target: &Target, portal: &FabricPortal) -> String {
    let mut options = vec![
        format!("nqn={}", target.nqn),
        format!("transport={}", portal.fabric().as_str()),
        format!("traddr={}", portal.traddr()),
    ];
    options.extend(portal.trsvcid().map(|service| format!("trsvcid={service}")));
    let host_nqn = context.host_nqn(target);
    options.extend(host_nqn.map(|nqn| format!("hostnqn={nqn}")));
    let host_id = nvme_core::host_id(&context.host.root).or_else(|| host_nqn.and_then(|nqn| nqn.uuid()));
    options.extend(host_id.map(|id| format!("hostid={id}")));
    options.extend(["queue_size=128".to_owned(), "ctrl_loss_tmo=-1".to_owned()]);
    options.join(",")
}

/// `instance=3,cntlid=1`
fn parse_instance(answer: &str) -> Option<Controller> {
    let number = answer.split(',').find_map(|part| part.trim().strip_prefix("instance="))?;
    Controller::named(&format!("nvme{number}"))
}

/// Has the kernel look for namespaces; they appear a moment later.
pub fn rescan(host: &Host, controller: &Controller) -> Result<()> {
    if host.runner.is_direct() {
        bounded::write(host, &controller.rescan_path(), "1", ANSWER)
    } else {
        nvme::rescan(host, controller)
    }
}

/// Disconnects the controller of a portal, unless it leads to a namespace other than `ours` or somebody else is at it.
/// One that stays is disconnected later, if that ends (`vacancy`).
pub fn release(context: &Context, target: &Target, portal: &FabricPortal, ours: Option<&DeviceName>) -> Result<()> {
    if present(context, target, portal).is_none() {
        return Ok(());
    }
    let held = lock::try_acquire(&context.connection(target, portal), Mode::Exclusive)?;
    let Some(controller) = present(context, target, portal) else { return Ok(()) };
    if held.is_none() {
        debug!(target: NVMEOF, "{portal} of {}: another attach or detach is at the controller, it stays", target.nqn);
    } else if let Some(other) = vacancy::other_namespace(&context.host, &controller, ours) {
        debug!(target: NVMEOF, "{} leads to {other} too, it stays", controller.name());
    } else {
        info!(target: NVMEOF, "disconnecting {} ({portal} of {})", controller.name(), target.nqn);
        return disconnect(&context.host, &controller);
    }
    vacancy::watch(context, target, portal, &controller, ours);
    Ok(())
}

/// Disconnects a controller that is nobody's any more, whatever volume it led to.  Gives a reason when it is used: the
/// storage is asked once more for namespaces.
pub fn release_unused(host: &Host, controller: &Controller) -> Result<Option<String>> {
    let root = &host.root;
    rescan(host, controller)?;
    let first = || Ok(controller.paths(root).into_iter().next());
    if let Some(path) = wait::until(Instant::now() + NAMESPACES, first)? {
        return Ok(Some(format!("it leads to {}", path.device)));
    }
    info!(target: NVMEOF, "disconnecting {}, which leads to nothing", controller.name());
    disconnect(host, controller).map(|()| None)
}

pub fn disconnect(host: &Host, controller: &Controller) -> Result<()> {
    let done = if host.runner.is_direct() {
        bounded::write(host, &controller.delete_path(), "1", HANG_UP)
    } else {
        nvme::disconnect(host, controller)
    };
    let gone = wait::until_true(Instant::now() + SOON, || !controller.exists(&host.root));
    match done {
        _ if gone => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(Error::Timeout { what: format!("the removal of {}", controller.name()), after: SOON }),
    }
}
