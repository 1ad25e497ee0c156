//! The state of the pretend machine, what was done to it, and what goes wrong on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use super::nvme::Nvme;
use super::storage::{Storage, Volume, portal_name};
use super::tree::Tree;

/// A session of the kernel.
#[derive(Debug, Clone)]
pub struct Session {
    pub sid: u32,
    pub host: u32,
    pub iqn: String,
    /// The address as the record spells it, without brackets.
    pub address: String,
    pub port: u16,
}

impl Session {
    /// As iscsiadm prints it.
    pub fn portal(&self) -> String {
        portal_name(&self.address, self.port)
    }
}

/// A disk of the kernel.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The session of an iSCSI disk.
    pub sid: u32,
    /// The port of the array a Fibre Channel disk is behind.
    pub port: Option<String>,
    /// `2:0:0:1`
    pub hctl: String,
    pub lun: u64,
    /// The SCSI device's directory.
    pub directory: String,
    /// The link udev makes by path.
    pub by_path: Option<String>,
    /// What the kernel last read from the LUN.
    pub seen: Volume,
}

/// A multipath map.
#[derive(Debug, Clone)]
pub struct Map {
    pub name: String,
    pub wwid: String,
    pub size: u64,
    pub slaves: Vec<String>,
}

/// How a login was done, as the node record and the command said at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub portal: String,
    pub iqn: String,
    pub retries: String,
    pub scan: String,
    pub startup: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multipathd {
    Running,
    Absent,
    /// multipath-tools before 0.7: exit code 0 and `error receiving packet`.
    OldAndSilent,
}

/// What becomes of a command, write or request instead of its work.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Exits with this code and this on stderr.
    Exit(i32, &'static str),
    /// Does not end in time.
    Timeout,
    /// Prints this.
    Answer(&'static str),
    /// Says that all went well, and does nothing.
    Ignored,
    /// The kernel refuses the write.
    Refused,
    /// Works, after a time.
    Slow(Duration),
    /// Works as soon as the machine is like this; fails if it never is.
    Until(fn(&State) -> bool),
    /// The session that is scanned ends.
    SessionLost,
    /// The disk is gone before the write gets through.
    GoneAlready,
    /// Works, and in the same moment this happens.
    Then(fn(&Machine, &mut State)),
}

struct Expected {
    pattern: String,
    trouble: Trouble,
    times: u32,
}

/// How the machine behaves when nothing is wrong with it.
pub struct Manners {
    pub find_multipaths: &'static str,
    pub friendly_names: bool,
    pub multipathd: Multipathd,
    /// Whether the kernel names the disks of the SCSI devices it finds (`name_disks` of FakeHost does it later).
    pub names_disks: bool,
    /// A disk after its scan, a map after its path, udev's links after the kernel's news.
    pub disk_delay: Duration,
    pub map_delay: Duration,
    pub udev_delay: Duration,
    pub forms_maps: bool,
    /// Whether the path checker finds paths ready.
    pub paths_ready: bool,
    /// Whether multipathd notices that a disk is gone.
    pub multipathd_forgets: bool,
    pub udev_removes_links: bool,
    /// Whether scanning is in the caller's hand when the record says so (open-iscsi with `node.session.scan`).
    pub manual_scan: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Manners {
            find_multipaths: "no",
            friendly_names: false,
            multipathd: Multipathd::Running,
            names_disks: true,
            disk_delay: Duration::from_millis(4),
            map_delay: Duration::from_millis(4),
            udev_delay: Duration::from_millis(2),
            forms_maps: true,
            paths_ready: true,
            multipathd_forgets: true,
            udev_removes_links: true,
            manual_scan: true,
        }
    }
}

#[derive(Default)]
pub struct State {
    pub storage: Storage,
    pub manners: Manners,
    pub sessions: BTreeMap<u32, Session>,
    pub disks: BTreeMap<String, Disk>,
    /// SCSI devices without a disk, by `H:C:T:L`.
    pub nameless: BTreeMap<String, Disk>,
    pub maps: BTreeMap<String, Map>,
    pub nvme: Nvme,
    /// The disks udev has not done yet.
    pub at_udev: BTreeSet<String>,
    /// The disks multipathd watches, with the identity it took from udev.
    pub watched: BTreeMap<String, String>,
    pub logins: Vec<Login>,
    pub journal: Vec<String>,
    troubles: Vec<Expected>,
    pub fabric: super::fabric::Fabric,
    pub next_session: u32,
    pub next_host: u32,
    /// What waits for the test to let it go on may.
    pub let_go: bool,
    /// The test is over and its tree is going.
    pub closed: bool,
}

impl State {
    pub fn expect_trouble(&mut self, pattern: &str, trouble: Trouble, times: u32) {
        self.troubles.push(Expected { pattern: pattern.to_owned(), trouble, times });
    }

    /// What goes wrong with this command, write or request, if anything.
    fn trouble_with(&mut self, line: &str) -> Option<Trouble> {
        let found = self.troubles.iter_mut().find(|entry| entry.times > 0 && line.contains(&entry.pattern))?;
        found.times -= 1;
        Some(found.trouble.clone())
    }

    /// How often something was begun, by its lines in the journal.
    pub fn count(&self, what: &str) -> usize {
        self.journal.iter().filter(|line| line.contains(what)).count()
    }

    /// As iscsiadm finds sessions: by the spelling of the address.
    pub fn sessions_of(&self, spelled: &str, iqn: &str) -> Vec<Session> {
        let matches = |session: &&Session| session.iqn == iqn && session.portal() == spelled;
        self.sessions.values().filter(matches).cloned().collect()
    }

    pub fn disk_at(&self, sid: u32, lun: u64) -> Option<String> {
        self.disks.iter().find(|(_, disk)| disk.sid == sid && disk.lun == lun).map(|(name, _)| name.clone())
    }

    /// What a disk's LUN maps now.
    pub fn volume_of(&self, disk: &Disk) -> Option<Volume> {
        match &disk.port {
            Some(port) => self.storage.fc_luns.get(&(port.clone(), disk.lun)).cloned(),
            None => self.storage.volume(&self.sessions.get(&disk.sid)?.iqn, disk.lun),
        }
    }

    pub fn map_over(&self, disk: &str) -> Option<String> {
        self.maps.iter().find(|(_, map)| map.slaves.iter().any(|slave| slave == disk)).map(|(name, _)| name.clone())
    }

    pub fn map_named(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix("/dev/mapper/").or_else(|| name.strip_prefix("/dev/")).unwrap_or(name);
        let found = self.maps.iter().find(|(device, map)| *device == name || map.name == name || map.wwid == name);
        found.map(|(device, _)| device.clone())
    }
}

pub struct Machine {
    pub tree: Tree,
    pub direct: bool,
    state: Mutex<State>,
    changed: Condvar,
    /// How much is still to come by itself.
    under_way: AtomicUsize,
    itself: Weak<Machine>,
}

impl Machine {
    pub fn new(tree: Tree, direct: bool) -> Arc<Machine> {
        Arc::new_cyclic(|itself| Machine {
            tree,
            direct,
            state: Mutex::new(State { next_session: 1, next_host: 2, ..State::default() }),
            changed: Condvar::new(),
            under_way: AtomicUsize::new(0),
            itself: itself.clone(),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the machine panics")
    }

    /// The test is over, well or badly: nothing happens by itself any more.
    pub fn close(&self) {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).closed = true;
    }

    /// Notes what is done, and gives what goes wrong with it.
    pub fn note(&self, line: &str) -> Option<Trouble> {
        let mut state = self.state();
        state.journal.push(line.to_owned());
        self.changed.notify_all();
        state.trouble_with(line)
    }

    /// Says that something on the machine is different now.
    pub fn announce(&self) {
        self.changed.notify_all();
    }

    /// Does something a little later, as kernel, udev and multipathd do; not when the test has ended meanwhile.
    pub fn later(&self, after: Duration, work: impl FnOnce(&Machine, &mut State) + Send + 'static) {
        let itself = self.itself.clone();
        self.under_way.fetch_add(1, Ordering::SeqCst);
        std::thread::spawn(move || {
            std::thread::sleep(after);
            let Some(machine) = itself.upgrade() else {
                return;
            };
            let mut state = machine.state();
            if !state.closed {
                work(&machine, &mut state);
            }
            machine.under_way.fetch_sub(1, Ordering::SeqCst);
            drop(state);
            machine.announce();
        });
    }

    /// Whether kernel, udev and multipathd have nothing to do any more.
    pub fn is_quiet(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) == 0
    }

    /// Waits until the machine is as wanted; false when it does not come to be within `patience`.
    pub fn wait_until(&self, patience: Duration, mut wanted: impl FnMut(&State) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        while !wanted(&state) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            let woken = self.changed.wait_timeout(state, left.min(Duration::from_millis(50)));
            state = woken.expect("no thread of the machine panics").0;
        }
        true
    }
}
