//! Sessions, disks and maps in sysfs, laid out as Linux 6.1 does (drivers/scsi, drivers/md).

use super::machine::{Disk, Machine, Map, Session, State};
use super::storage::split_portal;

fn host_directory(host: u32) -> String {
    format!("/sys/devices/platform/host{host}")
}

fn session_directory(session: &Session) -> String {
    format!("{}/session{}", host_directory(session.host), session.sid)
}

fn map_directory(device: &str) -> String {
    format!("/sys/devices/virtual/block/{device}")
}

/// `sda` ... `sdz`, `sdaa` ...: as drivers/scsi/sd.c counts.
fn disk_name(mut number: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'a' + u8::try_from(number % 26).expect("a letter"));
        if number < 26 {
            break;
        }
        number = number / 26 - 1;
    }
    letters.iter().rev().fold("sd".to_owned(), |name, letter| name + &char::from(*letter).to_string())
}

impl Machine {
    /// A class device below its parent, with its link in `/sys/class`.
    pub fn class_device(&self, parent: &str, class: &str, name: &str, attributes: &[(&str, &str)]) {
        let directory = format!("{parent}/{class}/{name}");
        for (attribute, value) in attributes {
            self.tree.write(&format!("{directory}/{attribute}"), format!("{value}\n"));
        }
        self.tree.link(&format!("{directory}/device"), parent);
        self.tree.link(&format!("/sys/class/{class}/{name}"), &directory);
    }

    /// The kernel's side of a login; the portal in the spelling of the node record.
    pub fn add_session(&self, state: &mut State, portal: &str, iqn: &str) -> Session {
        let (sid, host) = (state.next_session, state.next_host);
        state.next_session += 1;
        state.next_host += 1;
        let (address, port) = split_portal(portal);
        let session = Session { sid, host, iqn: iqn.to_owned(), address: address.clone(), port };
        let port = port.to_string();
        let (of_host, directory) = (host_directory(host), session_directory(&session));
        self.class_device(&of_host, "scsi_host", &format!("host{host}"), &[("proc_name", "iscsi_tcp"), ("scan", "")]);
        self.class_device(&of_host, "iscsi_host", &format!("host{host}"), &[("ipaddress", &address)]);
        let connection = format!("connection{sid}:0");
        let addresses = [
            ("persistent_address", address.as_str()),
            ("persistent_port", port.as_str()),
            ("address", address.as_str()),
            ("port", port.as_str()),
        ];
        self.class_device(&format!("{directory}/{connection}"), "iscsi_connection", &connection, &addresses);
        let attributes = [("targetname", iqn), ("tpgt", "1"), ("state", "LOGGED_IN"), ("target_id", "0")];
        self.class_device(&directory, "iscsi_session", &format!("session{sid}"), &attributes);
        state.sessions.insert(sid, session.clone());
        session
    }

    /// The kernel's side of a logout, or of a session somebody else ended.
    pub fn remove_session(&self, state: &mut State, sid: u32) {
        let Some(session) = state.sessions.get(&sid).cloned() else {
            return;
        };
        let disks: Vec<String> = state
            .disks
            .iter()
            .filter(|(_, disk)| disk.sid == sid && disk.port.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for disk in disks {
            self.remove_disk(state, &disk);
        }
        let of_session = |disk: &&Disk| disk.sid == sid && disk.port.is_none();
        let nameless: Vec<String> = state.nameless.values().filter(of_session).map(|disk| disk.hctl.clone()).collect();
        for hctl in nameless {
            self.remove_device(state, &hctl);
        }
        state.sessions.remove(&sid);
        let host = session.host;
        let of_host = format!("host{host}");
        let of_session = format!("session{sid}");
        let of_connection = format!("connection{sid}:0");
        self.tree.remove(&format!("/sys/class/iscsi_session/{of_session}"));
        self.tree.remove(&format!("/sys/class/iscsi_connection/{of_connection}"));
        self.tree.remove(&format!("/sys/class/iscsi_host/{of_host}"));
        self.tree.remove(&format!("/sys/class/scsi_host/{of_host}"));
        self.tree.remove(&host_directory(host));
    }

    /// `/sys/class/iscsi_session/sessionN/state`
    pub fn set_session_state(&self, sid: u32, text: &str) {
        self.tree.write(&format!("/sys/class/iscsi_session/session{sid}/state"), text);
    }

    /// A LUN becomes a disk: what a scan that finds something does.
    pub fn add_disk(&self, state: &mut State, sid: u32, lun: u64) -> Option<String> {
        let session = state.sessions.get(&sid)?.clone();
        let seen = state.storage.volume(&session.iqn, lun)?;
        if state.disk_at(sid, lun).is_some() {
            return None;
        }
        let host = session.host;
        let hctl = format!("{host}:0:0:{lun}");
        let directory = format!("{}/target{host}:0:0/{hctl}", session_directory(&session));
        let by_path = Some(super::udev::by_path(&session, lun));
        self.add_scsi_disk(state, Disk { sid, port: None, hctl, lun, directory, by_path, seen })
    }

    /// A SCSI device and its disk.
    pub fn add_scsi_disk(&self, state: &mut State, disk: Disk) -> Option<String> {
        if !state.manners.names_disks {
            self.add_nameless(state, disk);
            return None;
        }
        let mut names = (0..).map(|index| (index, disk_name(index)));
        let (index, name) = names.find(|(_, name)| !state.disks.contains_key(name) && !self.is_held(name))?;
        let device = disk.directory.clone();
        let block = format!("{device}/block/{name}");
        self.tree.directory(&format!("{block}/holders"));
        self.tree.write(&format!("{block}/dev"), format!("8:{}\n", 16 * index));
        self.tree.write(&format!("{block}/uevent"), "");
        self.add_scsi_device(&disk);
        self.write_identity(&disk, &name);
        self.tree.link(&format!("{block}/device"), &device);
        self.tree.link(&format!("/sys/block/{name}"), &block);
        self.tree.link(&format!("/sys/class/block/{name}"), &block);
        self.tree.write(&format!("/dev/{name}"), vec![0; 8192]);
        state.disks.insert(name.clone(), disk);
        self.udev_adds_disk(state, &name);
        Some(name)
    }

    /// What the kernel read from the LUN: identity and size.
    fn write_identity(&self, disk: &Disk, name: &str) {
        let device = disk.directory.clone();
        let attribute = |attribute: &str, content: Option<Vec<u8>>| {
            let path = format!("{device}/{attribute}");
            match content {
                Some(content) => self.tree.write(&path, content),
                None => self.tree.remove(&path),
            }
        };
        attribute("wwid", disk.seen.sysfs_wwid.as_ref().map(|wwid| format!("{wwid}\n").into_bytes()));
        attribute("vpd_pg83", disk.seen.page.clone());
        self.tree.write(&format!("{device}/block/{name}/size"), format!("{}\n", disk.seen.size / 512));
    }

    /// `echo 1 > device/rescan`: the kernel reads identity and size again.
    pub fn rescan_disk(&self, state: &mut State, name: &str) {
        let Some(disk) = state.disks.get(name).cloned() else {
            return;
        };
        // A LUN that is mapped no more answers nothing, and the kernel keeps what it had.
        let seen = state.volume_of(&disk).unwrap_or_else(|| disk.seen.clone());
        let disk = Disk { seen, ..disk };
        self.write_identity(&disk, name);
        state.disks.insert(name.to_owned(), disk);
    }

    /// `echo 1 > device/delete`
    pub fn remove_disk(&self, state: &mut State, name: &str) {
        let Some(disk) = state.disks.remove(name) else {
            return;
        };
        if let Some(map) = state.map_over(name) {
            self.tree.remove(&format!("{}/slaves/{name}", map_directory(&map)));
            if let Some(map) = state.maps.get_mut(&map) {
                map.slaves.retain(|slave| slave != name);
            }
        }
        self.tree.remove(&format!("/sys/bus/scsi/devices/{}", disk.hctl));
        self.tree.remove(&format!("/sys/block/{name}"));
        self.tree.remove(&format!("/sys/class/block/{name}"));
        self.tree.remove(&disk.directory);
        self.tree.remove(&format!("/dev/{name}"));
        self.fabric_loses_disk(state, &disk);
        self.udev_removes_disk(state, name, &disk);
    }

    /// A map over a first disk, in the kernel.
    pub fn add_map(&self, state: &mut State, wwid: &str, first: &str) -> String {
        let device = (0..).map(|n| format!("dm-{n}")).find(|name| !self.tree.exists(&format!("/sys/block/{name}")));
        let device = device.expect("there is always another number");
        let name = if state.manners.friendly_names {
            format!("mpath{}", char::from(b'a' + u8::try_from(state.maps.len()).expect("a few maps")))
        } else {
            wwid.to_owned()
        };
        let size = state.disks.get(first).map_or(0, |disk| disk.seen.size);
        let map = Map { name, wwid: wwid.to_owned(), size, slaves: Vec::new() };
        self.write_device_mapper(&device, &map.name, &format!("mpath-{wwid}"), size);
        state.maps.insert(device.clone(), map);
        self.add_slave(state, &device, first);
        self.udev_adds_map(state, &device);
        device
    }

    /// Any device-mapper device: a map, a partition, LVM, LUKS.
    pub fn write_device_mapper(&self, device: &str, name: &str, uuid: &str, size: u64) {
        let directory = map_directory(device);
        for (attribute, value) in [("dm/name", name), ("dm/uuid", uuid), ("dm/suspended", "0")] {
            self.tree.write(&format!("{directory}/{attribute}"), format!("{value}\n"));
        }
        self.tree.write(&format!("{directory}/size"), format!("{}\n", size / 512));
        self.tree.directory(&format!("{directory}/slaves"));
        self.tree.directory(&format!("{directory}/holders"));
        self.tree.link(&format!("/sys/block/{device}"), &directory);
        self.tree.write(&format!("/dev/{device}"), "");
        // A map's is udev's to make, with its other links.
        if !uuid.starts_with("mpath-") {
            self.tree.link(&format!("/dev/mapper/{name}"), &format!("/dev/{device}"));
        }
    }

    pub fn add_slave(&self, state: &mut State, device: &str, disk: &str) {
        if let Some(map) = state.maps.get_mut(device) {
            map.slaves.push(disk.to_owned());
        }
        self.hold(device, disk);
    }

    /// `slaves/` and `holders/`: the one device is built on the other.
    pub fn hold(&self, device: &str, on: &str) {
        let below = self.tree.canonical(&format!("/sys/block/{on}")).expect("the lower device exists");
        let above = map_directory(device);
        self.tree.link(&format!("{above}/slaves/{on}"), &below);
        self.tree.link(&format!("{below}/holders/{device}"), &above);
    }

    /// Whether something stands on a disk, which keeps its name also when it has gone (`free_disk` in drivers/scsi/sd.c).
    fn is_held(&self, disk: &str) -> bool {
        let above = self.tree.names("/sys/block");
        above.iter().any(|device| self.tree.link_name(&format!("/sys/block/{device}/slaves/{disk}")).is_some())
    }

    /// A device-mapper device goes; false when something is built on it.
    pub fn remove_map(&self, state: &mut State, device: &str) -> bool {
        let directory = map_directory(device);
        let built_on_it = self.tree.names(&format!("{directory}/holders"));
        let partition = |holder: &String| {
            let uuid = self.tree.read(&format!("/sys/block/{holder}/dm/uuid")).unwrap_or_default();
            uuid.starts_with("part")
        };
        if built_on_it.iter().any(|holder| !partition(holder)) {
            return false;
        }
        for holder in built_on_it {
            self.remove_map(state, &holder);
        }
        for slave in self.tree.names(&format!("{directory}/slaves")) {
            self.tree.remove(&format!("/sys/block/{slave}/holders/{device}"));
        }
        if let Some(name) = self.tree.read(&format!("{directory}/dm/name")) {
            self.tree.remove(&format!("/dev/mapper/{name}"));
        }
        self.tree.remove(&format!("/sys/block/{device}"));
        self.tree.remove(&directory);
        self.tree.remove(&format!("/dev/{device}"));
        state.maps.remove(device);
        self.udev_removes_map(state, device);
        true
    }

    pub fn resize_map(&self, state: &mut State, device: &str) {
        let Some(map) = state.maps.get_mut(device) else {
            return;
        };
        let smallest = map.slaves.iter().filter_map(|disk| state.disks.get(disk)).map(|disk| disk.seen.size).min();
        map.size = smallest.unwrap_or(map.size);
        self.tree.write(&format!("{}/size", map_directory(device)), format!("{}\n", map.size / 512));
    }
}
