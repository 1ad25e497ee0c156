//! `/sys/class/iscsi_session`, `/sys/class/iscsi_connection` (kernel: drivers/scsi/scsi_transport_iscsi.c).

use std::path::PathBuf;

use crate::host::attribute::{self, Directory};
use crate::host::root::Root;
use crate::identifiers::{DeviceName, Hctl, Iqn, Portal};

/// One session of the initiator.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// The number in `sessionN`.
    pub sid: u32,
    /// `/sys/class/iscsi_session/sessionN/targetname`, as the kernel has it.
    pub target_name: String,
    /// `/sys/class/iscsi_session/sessionN/tpgt`
    pub tpgt: Option<String>,
    /// `/sys/class/iscsi_session/sessionN/target_id`: the T of its H:C:T:L.
    pub target_id: Option<u32>,
    /// `/sys/class/iscsi_connection/connectionN:0/{persistent_address,persistent_port}`
    pub portal: Option<Portal>,
    /// The H of `/sys/devices/.../hostH/sessionN`.
    pub host: u32,
}

const SESSIONS: &str = "/sys/class/iscsi_session";

/// The numbers of all sessions, ascending.
pub fn sids(root: &Root) -> Vec<u32> {
    let mut sids: Vec<u32> = attribute::names(&root.path(SESSIONS))
        .iter()
        .filter_map(|name| name.strip_prefix("session")?.parse().ok())
        .collect();
    sids.sort_unstable();
    sids
}

fn directory(root: &Root, sid: u32) -> PathBuf {
    root.path(format!("{SESSIONS}/session{sid}"))
}

fn connection(root: &Root, sid: u32) -> PathBuf {
    root.path(format!("/sys/class/iscsi_connection/connection{sid}:0"))
}

/// One session by its number.
pub fn by_sid(root: &Root, sid: u32) -> Option<Session> {
    let class = directory(root, sid);
    let target_name = attribute::text(&class.join("targetname"))?;
    read_rest(root, sid, target_name)
}

fn read_rest(root: &Root, sid: u32, target_name: String) -> Option<Session> {
    let class = directory(root, sid);
    let connection = connection(root, sid);
    let address = attribute::text(&connection.join("persistent_address"));
    let port = attribute::text(&connection.join("persistent_port"));
    // The class entry leads to `.../hostH/sessionN/iscsi_session/sessionN`: one link instead of a walk.
    let device = attribute::link(&class).or_else(|| attribute::canonical(&class.join("device")))?;
    let host = device
        .components()
        .filter_map(|part| part.as_os_str().to_str()?.strip_prefix("host")?.parse().ok())
        .next_back()?;
    Some(Session {
        sid,
        target_name,
        tpgt: attribute::text(&class.join("tpgt")),
        target_id: attribute::text(&class.join("target_id")).and_then(|id| id.parse().ok()),
        portal: address.zip(port).and_then(|(address, port)| Portal::from_parts(&address, &port)),
        host,
    })
}

/// What a look at all sessions of the host needs of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    pub sid: u32,
    pub target_name: String,
    pub portal: Option<Portal>,
    pub state: Option<String>,
}

/// One session by its number, with the fewest reads.
pub fn brief(root: &Root, sid: u32) -> Option<Brief> {
    let session = Directory::open(&directory(root, sid))?;
    let connection = Directory::open(&connection(root, sid));
    let portal = |connection: Directory| {
        Portal::from_parts(&connection.text("persistent_address")?, &connection.text("persistent_port")?)
    };
    Some(Brief {
        sid,
        target_name: session.text("targetname")?,
        portal: connection.and_then(portal),
        state: session.text("state"),
    })
}

/// `ifacename` and `initiatorname` of a session; None when the kernel does not know both.
pub fn initiator(root: &Root, sid: u32) -> Option<(String, String)> {
    let known = |name: &str| attribute::text(&directory(root, sid).join(name)).filter(|text| text != "(null)");
    Some((known("ifacename")?, known("initiatorname")?))
}

/// All sessions, by number.
pub fn all(root: &Root) -> Vec<Session> {
    sids(root).into_iter().filter_map(|sid| by_sid(root, sid)).collect()
}

/// The sessions of one target, by number.
pub fn of_target(root: &Root, iqn: &Iqn) -> Vec<Session> {
    sids(root)
        .into_iter()
        .filter_map(|sid| {
            let name = attribute::text(&directory(root, sid).join("targetname"))?;
            if name == iqn.as_str() { read_rest(root, sid, name) } else { None }
        })
        .collect()
}

/// The sessions between this host and one portal of a target; more than one when somebody logged in twice.
pub fn of_portal(root: &Root, portal: &Portal, iqn: &Iqn) -> Vec<Session> {
    of_target(root, iqn).into_iter().filter(|session| session.portal.as_ref() == Some(portal)).collect()
}

impl Session {
    /// `/sys/class/iscsi_session/sessionN/state`: `LOGGED_IN`, `FAILED` or `FREE`.
    pub fn state(&self, root: &Root) -> Option<String> {
        attribute::text(&directory(root, self.sid).join("state"))
    }

    pub fn is_logged_in(&self, root: &Root) -> bool {
        self.state(root).as_deref() == Some("LOGGED_IN")
    }

    /// `/sys/class/scsi_host/hostH/proc_name`, in iscsiadm's words: `tcp`, `iser`, or the offload driver's own.
    pub fn transport(&self, root: &Root) -> Option<String> {
        let driver = attribute::text(&root.path(format!("/sys/class/scsi_host/host{}/proc_name", self.host)))?;
        // The kernel's own two are `iscsi_tcp` and `iscsi_iser`.
        Some(driver.strip_prefix("iscsi_").unwrap_or(&driver).to_owned())
    }

    pub fn exists(&self, root: &Root) -> bool {
        attribute::named(&directory(root, self.sid))
    }

    fn device_directory(&self, root: &Root) -> Option<PathBuf> {
        attribute::canonical(&directory(root, self.sid).join("device"))
    }

    /// Every SCSI device of the session: `targetH:C:T/H:C:T:L`, with its disk once it has one.
    pub fn devices(&self, root: &Root) -> Vec<(Hctl, Option<DeviceName>)> {
        let Some(device) = self.device_directory(root) else {
            return Vec::new();
        };
        let targets = attribute::names(&device).into_iter().filter(|name| name.starts_with("target"));
        targets
            .flat_map(|target| {
                let target = device.join(target);
                attribute::names(&target)
                    .into_iter()
                    .filter_map(move |name| {
                        let hctl: Hctl = name.parse().ok()?;
                        Some((hctl, disk(&target.join(&name))))
                    })
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// The devices with one LUN: at most one for each target number.
    pub fn devices_with_lun(&self, root: &Root, lun: u64) -> Vec<(Hctl, Option<DeviceName>)> {
        let Some(device) = self.device_directory(root) else {
            return Vec::new();
        };
        let targets = attribute::names(&device).into_iter().filter(|name| name.starts_with("target"));
        targets
            .filter_map(|target| {
                let hctl: Hctl = format!("{}:{lun}", target.strip_prefix("target")?).parse().ok()?;
                let place = device.join(&target).join(hctl.to_string());
                attribute::named(&place).then(|| (hctl, disk(&place)))
            })
            .collect()
    }

    /// Where these are.
    pub fn addresses_with_lun(&self, root: &Root, lun: u64) -> Vec<Hctl> {
        self.devices_with_lun(root, lun).into_iter().map(|(address, _)| address).collect()
    }
}

/// `H:C:T:L/block/sdX`: the whole disk, never a partition.
fn disk(device: &std::path::Path) -> Option<DeviceName> {
    attribute::names(&device.join("block")).first()?.parse().ok()
}
