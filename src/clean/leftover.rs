//! What proves that a leftover is used by nobody, and how it goes.
//!
//! That something is down proves nothing: it may come back.  Proof is that nothing is there any more that could be used.

use std::path::{Path, PathBuf};

use crate::devices::remove;
use crate::error::Result;
use crate::host::Host;
use crate::host::act::files;
use crate::host::act::private_directory::PrivateDirectory;
use crate::host::attribute;
use crate::host::view::device_mapper::{self, Map};
use crate::host::view::nvme_controller::{Controller, State};
use crate::host::view::{block, iscsi_session, links, node_record};
use crate::identifiers::{Iqn, Portal};
use crate::inventory::orphans::{Finding, FindingKind};
use crate::inventory::records::{Standing, is_about};
use crate::transports::{iscsi, nvmeof};

use super::{Choices, View};

/// Something unused, as it is removed.
pub enum Leftover {
    Map(Map),
    Session { portal: Portal, iqn: Iqn },
    NodeRecord { portal: Portal, iqn: Iqn },
    Controller(Controller),
    Link(PathBuf),
    Record { directory: PathBuf, file: String },
}

type Proof = std::result::Result<Leftover, String>;

/// The leftover behind a finding, or why it is not proven to be one.
pub fn proven(host: &Host, view: &View, finding: &Finding) -> Proof {
    match finding.kind {
        FindingKind::MapWithoutPaths => map(host, view, &finding.subject),
        FindingKind::SessionWithoutDisks => session(host, &finding.subject),
        FindingKind::RecordWithoutSession => node_record(host, &finding.subject),
        FindingKind::ControllerWithoutNamespaces => controller(host, &finding.subject),
        FindingKind::DanglingLink => link(host, &finding.subject),
        FindingKind::HalfDone | FindingKind::RecordWithoutVolume | FindingKind::StaleRecord => {
            record(view, &finding.subject)
        }
        FindingKind::ReusedLun
        | FindingKind::MixedIdentities
        | FindingKind::PathOutsideMap
        | FindingKind::LuksOverNothing
        | FindingKind::HostNameInDoubt => Err("somebody has to decide what becomes of it".to_owned()),
    }
}

fn map(host: &Host, view: &View, subject: &str) -> Proof {
    let volume = view.inventory.volumes.iter().find(|volume| volume.device.as_str() == subject);
    let Some((volume, map)) = volume.and_then(|volume| Some((volume, device_mapper::map(&host.root, &volume.device)?)))
    else {
        return Err("it is no map any more".to_owned());
    };
    if !volume.paths.is_empty() || !block::foundations(&host.root, &volume.device).is_empty() {
        return Err("it has paths: that they are down does not prove it unused".to_owned());
    }
    let uses = volume.uses();
    if !uses.is_empty() {
        return Err(uses.join(", "));
    }
    let holders = block::holders(&host.root, &volume.device);
    if let Some(holder) = holders.first() {
        return Err(format!("{holder} is built on it"));
    }
    if volume.open_count.is_none() {
        return Err("how often it is open is not known".to_owned());
    }
    let attached = |kept: &&super::Kept| {
        matches!(kept.standing, Standing::Attached | Standing::UnderWay) && is_about(&kept.record, volume)
    };
    match view.kept.iter().find(attached) {
        Some(kept) => Err(format!("os-brick attached it, by its record {}", kept.file)),
        None => Ok(Leftover::Map(map)),
    }
}

fn session(host: &Host, subject: &str) -> Proof {
    let root = &host.root;
    let sid = subject.strip_prefix("session").and_then(|sid| sid.parse().ok());
    let session = sid.and_then(|sid| iscsi_session::by_sid(root, sid)).ok_or("it has ended")?;
    let Some((portal, iqn)) = session.portal.clone().zip(session.target_name.parse::<Iqn>().ok()) else {
        return Err("its portal is not known".to_owned());
    };
    if !node_record::of_portal(root, &portal, &iqn).iter().any(|record| record.is_of_attach(root)) {
        return Err("its node record is not one of os-brick".to_owned());
    }
    // A logout ends all sessions of the portal, each interface's.
    for other in iscsi_session::of_portal(root, &portal, &iqn) {
        if let Some((address, device)) = other.devices(root).into_iter().next() {
            let device = device.map_or_else(String::new, |device| format!(" ({device})"));
            return Err(format!("session{} has the device {address}{device}", other.sid));
        }
    }
    Ok(Leftover::Session { portal, iqn })
}

fn node_record(host: &Host, subject: &str) -> Proof {
    let root = &host.root;
    let parsed = subject.split_once(' ').and_then(|(portal, iqn)| portal.parse::<Portal>().ok().zip(iqn.parse().ok()));
    let (portal, iqn): (Portal, Iqn) = parsed.ok_or("its portal is not known")?;
    if !iscsi_session::of_portal(root, &portal, &iqn).is_empty() {
        return Err("it has a session".to_owned());
    }
    // iscsiadm deletes all records of the portal, so each has to be one of an attach.
    if !node_record::of_portal(root, &portal, &iqn).iter().all(|record| record.is_of_attach(root)) {
        return Err("another node record of the portal is not one of os-brick".to_owned());
    }
    Ok(Leftover::NodeRecord { portal, iqn })
}

fn controller(host: &Host, subject: &str) -> Proof {
    let root = &host.root;
    let controller = Controller::named(subject).filter(|controller| controller.exists(root)).ok_or("it is gone")?;
    if let Some(path) = controller.paths(root).first() {
        return Err(format!("it leads to {}", path.device));
    }
    match controller.state(root) {
        Some(State::Live | State::Connecting) => Ok(Leftover::Controller(controller)),
        Some(State::Other(state)) => Err(format!("it is {state}, which is a moment between two states")),
        None => Err("its state is not known".to_owned()),
    }
}

fn link(host: &Host, subject: &str) -> Proof {
    let path = PathBuf::from(subject);
    let place = host.root.path(&path);
    let is_ours = links::encrypted(&host.root).into_iter().any(|(link, _)| link == path);
    if !is_ours || attribute::link(&place).is_none() || attribute::exists(&place) {
        return Err("it leads to a device".to_owned());
    }
    Ok(Leftover::Link(path))
}

fn record(view: &View, subject: &str) -> Proof {
    let place = Path::new(subject);
    let file = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (Some(directory), Some(kept)) = (place.parent(), view.kept.iter().find(|kept| kept.file == file)) else {
        return Err("it is no record any more".to_owned());
    };
    match view.inventory.volumes.iter().find(|volume| is_about(&kept.record, volume)) {
        Some(volume) => Err(format!("{} of its volume is on the host: detach it", volume.device)),
        None => Ok(Leftover::Record { directory: directory.to_path_buf(), file }),
    }
}

impl Leftover {
    /// Takes it away.  Gives a reason when the last look showed that it is used.
    pub fn remove(&self, host: &Host, choices: &Choices<'_>) -> Result<Option<String>> {
        match self {
            Leftover::Map(map) => remove::remove_unused_map(host, map)?,
            Leftover::Session { portal, iqn } | Leftover::NodeRecord { portal, iqn } => {
                return iscsi::release_unused(host, choices.lock_path, portal, iqn);
            }
            Leftover::Controller(controller) => return nvmeof::release_unused(host, controller),
            Leftover::Link(link) => files::remove(&host.root, link)?,
            Leftover::Record { directory, file } => PrivateDirectory::open(&host.root, directory)?.remove(file)?,
        }
        Ok(None)
    }
}
