//! SCSI disks and the maps over them: iSCSI, Fibre Channel, and what is in the machine.

use std::collections::HashMap;
use std::path::Path as FilePath;

use crate::fan_out;
use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::fc_remote_port::{self, RemotePort};
use crate::host::view::{block, iscsi_session, scsi};
use crate::identifiers::{DeviceName, Hctl};

use super::Session;
use super::consumers::{Floor, Stack};
use super::volume::{Connection, Kind, Path, Volume};

/// The SCSI side of a host.
pub struct Scsi {
    pub volumes: Vec<Volume>,
    pub sessions: Vec<Session>,
}

/// A disk by where its entry in `/sys/block` leads.
struct Place<'a> {
    disk: &'a DeviceName,
    leads_to: &'a FilePath,
    hctl: Hctl,
    session: Option<u32>,
}

pub fn read(root: &Root, stack: &Stack) -> Scsi {
    let places: Vec<Place<'_>> = stack.devices.iter().filter_map(|(disk, leads_to)| place(disk, leads_to)).collect();
    let mut sessions = sessions(root);
    let known: HashMap<u32, usize> = sessions.iter().enumerate().map(|(at, session)| (session.sid, at)).collect();
    let ports = ports(root);
    let drivers = drivers(root, &places);
    let paths = fan_out::spread(&places, |place| {
        let session = place.session.and_then(|sid| known.get(&sid)).map(|at| &sessions[*at]);
        let port = ports.get(&(place.hctl.host, place.hctl.channel, place.hctl.target));
        let (connection, is_up) = connection(place, session, port, &drivers);
        path(root, place, connection, is_up)
    });
    for place in &places {
        if let Some(at) = place.session.and_then(|sid| known.get(&sid)) {
            sessions[*at].disks.push((*place.disk).clone());
        }
    }
    sessions.iter_mut().for_each(|session| session.disks.sort_by_key(super::by_number));
    Scsi { volumes: volumes(root, stack, paths), sessions }
}

fn place<'a>(disk: &'a DeviceName, leads_to: &'a FilePath) -> Option<Place<'a>> {
    let parts: Vec<&str> = leads_to.iter().filter_map(|part| part.to_str()).collect();
    // Tapes and enclosures have no `block`, CD drives (`sr0`) are no volumes.
    let at = parts.iter().rposition(|part| *part == "block")?;
    let hctl = parts.get(at.checked_sub(1)?)?.parse().ok()?;
    let session = parts.iter().find_map(|part| part.strip_prefix("session")?.parse().ok());
    disk.as_str().starts_with("sd").then_some(Place { disk, leads_to, hctl, session })
}

fn sessions(root: &Root) -> Vec<Session> {
    let read = |session: iscsi_session::Brief| Session {
        sid: session.sid,
        target: session.target_name,
        portal: session.portal.map(|portal| portal.to_string()),
        state: session.state,
        disks: Vec::new(),
    };
    let names: Vec<u32> = iscsi_session::sids(root);
    let found = fan_out::spread(&names, |sid| iscsi_session::brief(root, *sid).map(read));
    found.into_iter().flatten().collect()
}

/// The remote ports that are targets, by host, channel and target.
fn ports(root: &Root) -> HashMap<(u32, u32, u32), RemotePort> {
    let of_target = |port: RemotePort| Some(((port.host, port.channel, port.target_id?), port));
    fc_remote_port::all(root).into_iter().filter_map(of_target).collect()
}

/// The drivers of the hosts whose disks come over nothing that is known here.
fn drivers(root: &Root, places: &[Place<'_>]) -> HashMap<u32, String> {
    let mut drivers = HashMap::new();
    for place in places.iter().filter(|place| place.session.is_none()) {
        let host = place.hctl.host;
        drivers.entry(host).or_insert_with(|| {
            let driver = attribute::text(&root.path(format!("/sys/class/scsi_host/host{host}/proc_name")));
            driver.filter(|name| !matches!(name.as_str(), "" | "<NULL>")).unwrap_or_else(|| "scsi".to_owned())
        });
    }
    drivers
}

/// What a disk comes over, and whether that works.
fn connection(
    place: &Place<'_>,
    session: Option<&Session>,
    port: Option<&RemotePort>,
    drivers: &HashMap<u32, String>,
) -> (Connection, bool) {
    match (session, port) {
        (Some(session), _) => {
            let connection = Connection {
                transport: "iscsi".to_owned(),
                target: Some(session.target.clone()),
                portal: session.portal.clone(),
                name: Some(format!("session{}", session.sid)),
                state: session.state.clone(),
            };
            (connection, session.state.as_deref() == Some("LOGGED_IN"))
        }
        (None, Some(port)) => {
            let connection = Connection {
                transport: "fibre_channel".to_owned(),
                target: port.node_name.map(|name| name.to_string()),
                portal: Some(port.port_name.to_string()),
                name: Some(port.name.clone()),
                state: Some(port.port_state.clone()),
            };
            (connection, port.is_online())
        }
        (None, None) => {
            let driver = drivers.get(&place.hctl.host).map_or("iscsi", String::as_str);
            let connection =
                Connection { transport: driver.to_owned(), target: None, portal: None, name: None, state: None };
            // A session that ended while the host was read.
            (connection, driver != "iscsi")
        }
    }
}

fn path(root: &Root, place: &Place<'_>, connection: Connection, is_up: bool) -> Path {
    let scsi::Brief { state, identity, size } = scsi::brief(root, place.disk, place.leads_to);
    Path {
        device: place.disk.clone(),
        address: place.hctl.to_string(),
        usable: is_up && state.as_deref() == Some("running"),
        state,
        identity,
        size,
        connection,
    }
}

/// Maps with their disks, and the disks no map holds.
fn volumes(root: &Root, stack: &Stack, paths: Vec<Path>) -> Vec<Volume> {
    let mut paths: HashMap<DeviceName, Path> = paths.into_iter().map(|path| (path.device.clone(), path)).collect();
    let mut volumes: Vec<Volume> = Vec::new();
    for floor in stack.floors.values() {
        volumes.extend(map(root, floor, &mut paths));
    }
    volumes.extend(paths.into_values().map(|path| Volume {
        device: path.device.clone(),
        kind: Kind::Disk,
        name: None,
        identity: path.identity.clone(),
        size: path.size,
        paths: vec![path],
        mounts: Vec::new(),
        consumers: Vec::new(),
        links: Vec::new(),
        open_count: None,
        record: None,
    }));
    volumes
}

fn map(root: &Root, floor: &Floor, paths: &mut HashMap<DeviceName, Path>) -> Option<Volume> {
    let mapped = floor.mapped.as_ref()?;
    let identity = mapped.multipath_identity()?;
    let mut own: Vec<Path> = floor.below.iter().filter_map(|(disk, _)| paths.remove(disk)).collect();
    own.sort_by_key(|path| super::by_number(&path.device));
    Some(Volume {
        device: floor.device.clone(),
        kind: Kind::Multipath,
        name: Some(mapped.name.clone()),
        identity: Some(identity),
        size: block::size(root, &floor.device),
        paths: own,
        mounts: Vec::new(),
        consumers: Vec::new(),
        links: Vec::new(),
        open_count: None,
        record: None,
    })
}
