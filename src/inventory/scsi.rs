//! SCSI disks and the maps over them: iSCSI, Fibre Channel, and what is in the machine.

use std::collections::{HashMap, HashSet};
use std::path::Path as FilePath;
use std::sync::Arc;

use crate::fan_out;
use crate::host::attribute::{self, Nearby};
use crate::host::root::Root;
use crate::host::view::fc_remote_port::{self, RemotePort};
use crate::host::view::{iscsi_session, scsi};
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
    let mut places: Vec<Place<'_>> =
        stack.devices.iter().filter_map(|(disk, leads_to)| place(disk, leads_to)).collect();
    // Disks of one target beside each other, because they share a directory.
    places.sort_unstable_by_key(|place| place.hctl);
    let mut sessions = sessions(root);
    let known: HashMap<u32, usize> = sessions.iter().enumerate().map(|(at, session)| (session.sid, at)).collect();
    let ways = Ways::read(root, &places, &sessions);
    let paths = fan_out::spread_keeping(&places, |nearby: &mut Nearby, place| {
        path(scsi::brief(root, place.disk, place.leads_to, nearby), place, ways.to(place).clone())
    });
    for place in &places {
        if let Some(at) = place.session.and_then(|sid| known.get(&sid)) {
            sessions[*at].disks.push((*place.disk).clone());
        }
    }
    sessions.iter_mut().for_each(|session| session.disks.sort_by(super::by_number));
    Scsi { volumes: volumes(stack, paths), sessions }
}

fn place<'a>(disk: &'a DeviceName, leads_to: &'a FilePath) -> Option<Place<'a>> {
    // CD drives (`sr0`) are no volumes.
    let leads_to_disk = leads_to.to_str().filter(|_| disk.as_str().starts_with("sd"))?;
    let (device, _) = leads_to_disk.rsplit_once("/block/")?;
    let (_, address) = device.rsplit_once('/')?;
    let session = device.split('/').find_map(|part| part.strip_prefix("session")?.parse().ok());
    Some(Place { disk, leads_to, hctl: address.parse().ok()?, session })
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

/// What disks come over, and whether that works.
#[derive(Clone)]
struct Way {
    connection: Arc<Connection>,
    is_up: bool,
}

/// The ways of the host, each made once for all its disks.
struct Ways {
    /// By number.
    sessions: HashMap<u32, Way>,
    /// The remote ports that are targets, by host, channel and target.
    ports: HashMap<(u32, u32, u32), Way>,
    /// The hosts whose disks come over nothing that is known here.
    hosts: HashMap<u32, Way>,
    /// A session that ended while the host was read.
    ended: Way,
}

impl Ways {
    fn read(root: &Root, places: &[Place<'_>], sessions: &[Session]) -> Ways {
        let ports = fc_remote_port::all(root).into_iter();
        let others = places.iter().filter(|place| place.session.is_none()).map(|place| place.hctl.host);
        let others: HashSet<u32> = others.collect();
        Ways {
            sessions: sessions.iter().map(|session| (session.sid, of_session(session))).collect(),
            ports: ports
                .filter_map(|port| Some(((port.host, port.channel, port.target_id?), of_port(&port))))
                .collect(),
            hosts: others.into_iter().map(|host| (host, of_host(root, host))).collect(),
            ended: Way { connection: nameless("iscsi"), is_up: false },
        }
    }

    fn to(&self, place: &Place<'_>) -> &Way {
        let Hctl { host, channel, target, .. } = place.hctl;
        let session = place.session.and_then(|sid| self.sessions.get(&sid));
        let known = session.or_else(|| self.ports.get(&(host, channel, target)));
        known.or_else(|| self.hosts.get(&host)).unwrap_or(&self.ended)
    }
}

fn of_session(session: &Session) -> Way {
    let connection = Connection {
        transport: "iscsi".to_owned(),
        target: Some(session.target.clone()),
        portal: session.portal.clone(),
        name: Some(format!("session{}", session.sid)),
        state: session.state.clone(),
    };
    Way { connection: Arc::new(connection), is_up: session.state.as_deref() == Some("LOGGED_IN") }
}

fn of_port(port: &RemotePort) -> Way {
    let connection = Connection {
        transport: "fibre_channel".to_owned(),
        target: port.node_name.map(|name| name.to_string()),
        portal: Some(port.port_name.to_string()),
        name: Some(port.name.clone()),
        state: Some(port.port_state.clone()),
    };
    Way { connection: Arc::new(connection), is_up: port.is_online() }
}

fn of_host(root: &Root, host: u32) -> Way {
    let driver = attribute::text(&root.path(format!("/sys/class/scsi_host/host{host}/proc_name")));
    let driver = driver.filter(|name| !matches!(name.as_str(), "" | "<NULL>"));
    Way { connection: nameless(driver.as_deref().unwrap_or("scsi")), is_up: true }
}

fn nameless(transport: &str) -> Arc<Connection> {
    let transport = transport.to_owned();
    Arc::new(Connection { transport, target: None, portal: None, name: None, state: None })
}

fn path(brief: Option<scsi::Brief>, place: &Place<'_>, way: Way) -> Path {
    let scsi::Brief { state, identity, size } = brief.unwrap_or_default();
    Path {
        device: place.disk.clone(),
        address: place.hctl.to_string(),
        usable: way.is_up && state.as_deref() == Some("running"),
        state,
        identity,
        size,
        connection: way.connection,
    }
}

/// Maps with their disks, and the disks no map holds.
fn volumes(stack: &Stack, paths: Vec<Path>) -> Vec<Volume> {
    let mut paths: HashMap<DeviceName, Path> = paths.into_iter().map(|path| (path.device.clone(), path)).collect();
    let mut volumes: Vec<Volume> = Vec::new();
    for floor in stack.floors.values() {
        volumes.extend(map(floor, &mut paths));
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

fn map(floor: &Floor, paths: &mut HashMap<DeviceName, Path>) -> Option<Volume> {
    let mapped = floor.mapped.as_ref()?;
    let identity = mapped.multipath_identity()?;
    let mut own: Vec<Path> = floor.below.iter().filter_map(|(disk, _)| paths.remove(disk)).collect();
    own.sort_by(|one, other| super::by_number(&one.device, &other.device));
    Some(Volume {
        device: floor.device.clone(),
        kind: Kind::Multipath,
        name: Some(mapped.name.clone()),
        identity: Some(identity),
        size: floor.size,
        paths: own,
        mounts: Vec::new(),
        consumers: Vec::new(),
        links: Vec::new(),
        open_count: None,
        record: None,
    })
}
