// SPDX-License-Identifier: Apache-2.0
//! The pretend host: what it has, what is going to happen, and what programs can make it do.
//!
//! Times are nanoseconds of CLOCK_MONOTONIC, which Python's `time.monotonic_ns` also reads.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use nix::time::{ClockId, clock_gettime};

use crate::controls::{Control, Controls};
use crate::fabrics::Fabrics;
use crate::model::{Behind, Config, Disk, Kind, Map, Port, Scan, Session, naa_of, parse_scans, parse_target_scans};
use crate::tree::Tree;
use crate::wwids::{add_wwid, known_wwids};
use crate::{device_mapper, fabric, kernel};

pub const INITIATOR: &str = "iqn.1993-08.org.debian:01:simulated";

pub fn now_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// One call of a fake program.
#[derive(Debug, Clone)]
pub struct Request {
    pub start_ns: u64,
    pub stdin: String,
    pub argv: Vec<String>,
}

/// What is going to happen.
#[derive(Debug)]
pub enum Event {
    Disk { start_ns: u64, key: u32, lun: u64 },
    Map { start_ns: u64, wwid: String },
    Join { start_ns: u64, disk: String },
    Program { connection: u64, request: Request },
    Connected,
    Multipathd { connection: u64, start_ns: u64, command: String },
}

pub struct Trace {
    pub start_ns: u64,
    pub end_ns: u64,
    pub what: String,
}

pub struct Host {
    pub config: Config,
    pub tree: Tree,
    pub sessions: BTreeMap<u32, Session>,
    /// The ports of an array on Fibre Channel.
    ports: Vec<Port>,
    pub disks: BTreeMap<String, Disk>,
    pub maps: BTreeMap<u32, Map>,
    pub events: BTreeMap<(u64, u64), Event>,
    pub controls: Controls,
    pub fabrics: Fabrics,
    pub trace: Vec<Trace>,
    /// Sizes other than the configured one, by NAA identifier.
    pub grown: BTreeMap<String, u64>,
    appeared: BTreeMap<String, u64>,
    /// Disks a scan asked for, by what they are behind and LUN.
    coming: BTreeMap<(u32, u64), Disk>,
    /// Those of them whose directory is not made yet.
    unprepared: VecDeque<(u32, u64)>,
    sequence: u64,
    last_sid: u32,
}

impl Host {
    pub fn new(config: Config, tree: Tree) -> Host {
        Host {
            config,
            tree,
            sessions: BTreeMap::new(),
            ports: Vec::new(),
            disks: BTreeMap::new(),
            maps: BTreeMap::new(),
            events: BTreeMap::new(),
            controls: Controls::new(),
            fabrics: Fabrics::default(),
            trace: Vec::new(),
            grown: BTreeMap::new(),
            appeared: BTreeMap::new(),
            coming: BTreeMap::new(),
            unprepared: VecDeque::new(),
            sequence: 0,
            last_sid: 0,
        }
    }

    /// The ports of Fibre Channel, which are there from the beginning.
    pub fn add_ports(&mut self) -> io::Result<()> {
        if self.config.kind == Kind::FibreChannel {
            let (ports, scans) = fabric::add_ports(&self.tree, self.config.portals.len() as u32, true)?;
            self.ports = ports;
            for (host, scan) in scans {
                self.controls.add(scan, Control::ScanPorts(host))?;
            }
        }
        Ok(())
    }

    pub fn schedule(&mut self, at_ns: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((at_ns, self.sequence), event);
    }

    /// Remembers what took until now.
    pub fn note(&mut self, start_ns: u64, what: String) {
        self.trace.push(Trace { start_ns, end_ns: now_ns(), what });
    }

    pub fn find_session(&self, iqn: &str, address: &str, port: u16) -> Option<&Session> {
        self.sessions.values().find(|session| session.iqn == iqn && session.address == address && session.port == port)
    }

    /// A login that succeeds; gives the session's number.
    pub fn login(&mut self, iqn: &str, address: &str, port: u16, manual_scan: bool) -> io::Result<u32> {
        // As in the kernel: a session's number is never used again, a host's is.
        self.last_sid += 1;
        let sid = self.last_sid;
        let host = (2..).find(|host| !self.sessions.values().any(|session| session.host == *host)).unwrap_or(2);
        let session = Session { sid, host, iqn: iqn.to_owned(), address: address.to_owned(), port, tpgt: 1 };
        let scan = kernel::add_session(&self.tree, &session, INITIATOR)?;
        self.controls.add(scan, Control::Scan(sid))?;
        self.sessions.insert(sid, session);
        if !manual_scan {
            self.scan(sid, &Scan::All);
        }
        Ok(sid)
    }

    pub fn logout(&mut self, sid: u32) {
        let disks: Vec<String> = self.disks.values().filter(|disk| disk.behind.key() == sid).map(Disk::name).collect();
        for disk in disks {
            self.remove_disk(&disk);
        }
        if let Some(session) = self.sessions.remove(&sid) {
            self.controls.forget(|control| *control == Control::Scan(sid));
            kernel::remove_session(&self.tree, &session);
        }
    }

    fn behind(&self, key: u32) -> Option<Behind> {
        let session = self.sessions.get(&key).cloned().map(Behind::Session);
        session.or_else(|| self.ports.iter().cloned().map(Behind::Port).find(|behind| behind.key() == key))
    }

    pub fn scan(&mut self, key: u32, scan: &Scan) {
        let luns = match scan {
            Scan::All => 0..=self.config.last_lun,
            Scan::Lun(lun) => *lun..=(*lun).min(self.config.last_lun),
        };
        let Some(behind) = self.behind(key) else { return };
        for lun in luns {
            let known = self.disks.values().any(|disk| disk.behind.key() == key && disk.lun == lun);
            if !known && !self.coming.contains_key(&(key, lun)) {
                let start_ns = now_ns();
                self.schedule(start_ns + self.config.disk_ns, Event::Disk { start_ns, key, lun });
                self.expect_disk(behind.clone(), lun);
            }
        }
    }

    fn scan_ports(&mut self, host: u32, content: &str) {
        for (target, scan) in parse_target_scans(content) {
            let of = |port: &&Port| port.host == host && target.is_none_or(|target| target == port.id);
            let keys: Vec<u32> = self.ports.iter().filter(of).map(|port| Behind::Port(port.clone()).key()).collect();
            keys.into_iter().for_each(|key| self.scan(key, &scan));
        }
    }

    fn expect_disk(&mut self, behind: Behind, lun: u64) {
        let taken = |index| self.disks.values().chain(self.coming.values()).any(|disk| disk.index == index);
        let index = (0..).find(|index| !taken(*index)).unwrap_or(0);
        let naa = naa_of(behind.storage(), lun);
        let size = self.grown.get(&naa).copied().unwrap_or(self.config.size);
        self.sequence += 1;
        let key = (behind.key(), lun);
        let disk = Disk { index, behind, lun, naa, size, diskseq: self.sequence };
        self.coming.insert(key, disk);
        self.unprepared.push_back(key);
    }

    pub fn has_unprepared(&self) -> bool {
        !self.unprepared.is_empty()
    }

    /// Makes the directory of one disk that is coming, aside.
    pub fn prepare_one(&mut self) -> io::Result<()> {
        match self.unprepared.pop_front().and_then(|key| self.coming.get(&key)) {
            Some(disk) => kernel::prepare_disk(&self.tree, disk, !self.controls.holds_up_opening()),
            None => Ok(()),
        }
    }

    /// The disk a scan asked for appears, if its session is still there.
    pub fn add_disk(&mut self, key: u32, lun: u64) -> io::Result<()> {
        while self.unprepared.contains(&(key, lun)) {
            self.prepare_one()?;
        }
        let Some(disk) = self.coming.remove(&(key, lun)) else { return Ok(()) };
        if self.behind(key).is_none() {
            self.tree.unstage(&disk.directory());
            return Ok(());
        }
        let (delete, rescan) = kernel::add_disk(&self.tree, &disk)?;
        let name = disk.name();
        self.controls.add(delete, Control::Delete(name.clone()))?;
        self.controls.add(rescan, Control::Rescan(name.clone()))?;
        let start_ns = now_ns();
        self.appeared.insert(name.clone(), start_ns);
        let wwid = disk.wwid();
        let naa = disk.naa.clone();
        self.disks.insert(name.clone(), disk);
        if self.map_of(&wwid).is_some() {
            self.schedule(start_ns + self.config.join_ns, Event::Join { start_ns, disk: name });
        } else {
            device_mapper::identity_links(&self.tree, &naa, Some(&name))?;
            if self.wanted(&wwid) {
                self.plan_map(&wwid);
            }
        }
        Ok(())
    }

    /// A map is made at once or when `map_ns` have passed since the first path appeared.
    pub fn plan_map(&mut self, wwid: &str) {
        let planned =
            self.events.values().any(|event| matches!(event, Event::Map { wwid: other, .. } if other == wwid));
        let first = self.paths_of(wwid).iter().filter_map(|name| self.appeared.get(name)).min().copied();
        if let (false, Some(start_ns)) = (planned, first) {
            self.schedule(start_ns + self.config.map_ns, Event::Map { start_ns, wwid: wwid.to_owned() });
        }
    }

    /// Whether multipathd would make a map of these paths.
    pub fn wanted(&self, wwid: &str) -> bool {
        self.config.greedy || self.paths_of(wwid).len() > 1 || known_wwids().iter().any(|known| known == wwid)
    }

    pub fn map_of(&self, wwid: &str) -> Option<&Map> {
        self.maps.values().find(|map| map.wwid == wwid)
    }

    /// By name, dm-N, WWID or path below /dev, one of udev's links included.
    pub fn find_map(&self, name: &str) -> Option<&Map> {
        let linked = name.starts_with("/dev/disk/").then(|| fs::canonicalize(name).ok()).flatten();
        let linked = linked.map(|node| node.display().to_string());
        let name = linked.as_deref().unwrap_or(name);
        let name = name.trim_start_matches("/dev/").trim_start_matches("mapper/");
        self.maps.values().find(|map| map.wwid == name || map.node() == name)
    }

    pub fn paths_of(&self, wwid: &str) -> Vec<String> {
        self.disks.values().filter(|disk| disk.wwid() == wwid).map(Disk::name).collect()
    }

    pub fn make_map(&mut self, wwid: &str) -> io::Result<()> {
        let names = self.paths_of(wwid);
        let Some(first) = names.first().and_then(|name| self.disks.get(name)) else { return Ok(()) };
        if self.map_of(wwid).is_some() {
            return Ok(());
        }
        let index = (0..).find(|index| !self.maps.contains_key(index)).unwrap_or(0);
        self.sequence += 1;
        let map = Map { index, wwid: wwid.to_owned(), paths: names.clone(), size: first.size, diskseq: self.sequence };
        let naa = first.naa.clone();
        device_mapper::add_map(&self.tree, &map)?;
        for name in &names {
            device_mapper::add_path(&self.tree, &map, &self.disks[name])?;
        }
        device_mapper::identity_links(&self.tree, &naa, Some(&map.node()))?;
        self.maps.insert(index, map);
        add_wwid(wwid)
    }

    pub fn join(&mut self, name: &str) -> io::Result<()> {
        let Some(disk) = self.disks.get(name) else { return Ok(()) };
        let wwid = disk.wwid();
        if let Some(map) =
            self.maps.values_mut().find(|map| map.wwid == wwid && !map.paths.iter().any(|path| path == name))
        {
            map.paths.push(name.to_owned());
            device_mapper::add_path(&self.tree, map, disk)?;
        }
        Ok(())
    }

    /// Takes the map away; its paths stay, and are not made into a map again by themselves.
    pub fn flush_map(&mut self, wwid: &str) -> io::Result<()> {
        self.events.retain(|_, event| !matches!(event, Event::Map { wwid: other, .. } if other == wwid));
        let Some(map) = self.map_of(wwid).cloned() else { return Ok(()) };
        for disk in map.paths.iter().filter_map(|name| self.disks.get(name)) {
            device_mapper::remove_path(&self.tree, &map, disk);
        }
        device_mapper::remove_map(&self.tree, &map);
        self.maps.remove(&map.index);
        self.identity_links(wwid)
    }

    fn identity_links(&self, wwid: &str) -> io::Result<()> {
        let node = self.map_of(wwid).map(Map::node).or_else(|| self.paths_of(wwid).into_iter().next());
        device_mapper::identity_links(&self.tree, &wwid[1..], node.as_deref())
    }

    pub fn remove_disk(&mut self, name: &str) {
        let Some(disk) = self.disks.remove(name) else { return };
        let wwid = disk.wwid();
        self.appeared.remove(name);
        self.controls.forget(|control| matches!(control, Control::Delete(of) | Control::Rescan(of) if of == name));
        if let Some(map) = self.maps.values_mut().find(|map| map.wwid == wwid) {
            map.paths.retain(|path| path != name);
            device_mapper::remove_path(&self.tree, map, &disk);
        }
        let last = !self.disks.values().any(|other| other.behind.key() == disk.behind.key());
        kernel::remove_disk(&self.tree, &disk, last);
        if self.paths_of(&wwid).is_empty() && self.map_of(&wwid).is_some() {
            let _ = self.flush_map(&wwid);
        }
        let _ = self.identity_links(&wwid);
    }

    /// The disk reads its size again, as after a write to `rescan`.
    pub fn rescan_disk(&mut self, name: &str) -> io::Result<()> {
        let Some(disk) = self.disks.get_mut(name) else { return Ok(()) };
        disk.size = self.grown.get(&disk.naa).copied().unwrap_or(self.config.size);
        self.tree.change(&format!("{}/size", disk.block_directory()), &(disk.size / 512).to_string())
    }

    pub fn resize_map(&mut self, wwid: &str) -> io::Result<()> {
        let size = self.disks.values().filter(|disk| disk.wwid() == wwid).map(|disk| disk.size).min();
        if let (Some(map), Some(size)) = (self.maps.values_mut().find(|map| map.wwid == wwid), size) {
            map.size = size;
            self.tree.change(&format!("devices/virtual/block/{}/size", map.node()), &(size / 512).to_string())?;
        }
        Ok(())
    }

    /// What a program wrote to the control file at `path`, through any link.
    pub fn write(&mut self, path: &str, content: &str) -> io::Result<()> {
        let real = fs::canonicalize(path)?;
        match self.controls.meaning(&real) {
            Some(control) => self.act(&control, content),
            None if real.starts_with("/sys") => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            None => append(&real, content),
        }
    }

    /// Does what was written to a FIFO.
    pub fn written(&mut self, path: &Path) -> io::Result<()> {
        match self.controls.read(path)? {
            Some((control, content)) => self.act(&control, &content),
            None => Ok(()),
        }
    }

    /// Does what those want who open a control file, and lets them go on.
    pub fn opened(&mut self) -> io::Result<()> {
        for (event, control) in self.controls.opening()? {
            if let Some(control) = control {
                self.act(&control, "1")?;
            }
            self.controls.let_go(&event)?;
        }
        Ok(())
    }

    fn act(&mut self, control: &Control, content: &str) -> io::Result<()> {
        match control {
            Control::Scan(sid) => {
                for scan in parse_scans(content) {
                    self.scan(*sid, &scan);
                }
            }
            Control::ScanPorts(host) => self.scan_ports(*host, content),
            Control::Delete(name) if content.contains('1') => self.remove_disk(name),
            Control::Rescan(name) if content.contains('1') => self.rescan_disk(name)?,
            Control::DeleteController(number) if content.contains('1') => self.disconnect(*number)?,
            Control::Delete(_) | Control::Rescan(_) => {}
            // Every namespace is there already.
            Control::DeleteController(_) | Control::RescanController(_) => {}
        }
        Ok(())
    }
}

pub fn append(path: &Path, content: &str) -> io::Result<()> {
    io::Write::write_all(&mut OpenOptions::new().append(true).open(path)?, content.as_bytes())
}
