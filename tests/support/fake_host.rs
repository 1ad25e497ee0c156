//! The machine as tests handle it: its storage is described, it is given to the engine, and looked at afterwards.

use std::sync::Arc;
use std::time::Duration;

use os_brick_engine::host::Host;
use os_brick_engine::host::act::runner::Runner;
use os_brick_engine::host::root::Root;
use tempfile::TempDir;

use super::machine::{Login, Machine, Manners, State, Trouble};
use super::node_db::{self, Record};
use super::storage::{Portal, Target, Volume};
use super::tree::Tree;

/// Long enough for what the machine does by itself, which takes milliseconds on a machine that is not busy.
const SOON: Duration = Duration::from_secs(20);

pub struct FakeHost {
    // Dropped last: the machine writes below it.
    pub machine: Arc<Machine>,
    directory: TempDir,
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        self.machine.close();
    }
}

impl Default for FakeHost {
    fn default() -> Self {
        FakeHost::new()
    }
}

impl FakeHost {
    /// A host whose engine changes files itself, as in production.
    pub fn new() -> FakeHost {
        FakeHost::with(true)
    }

    /// A host of a caller that runs every command itself (`execute=`).
    pub fn of_caller() -> FakeHost {
        FakeHost::with(false)
    }

    fn with(direct: bool) -> FakeHost {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let tree = Tree::new(directory.path());
        for path in ["/locks", "/sys/class/iscsi_session", "/sys/block", "/dev/disk/by-path", "/dev/disk/by-id"] {
            tree.directory(path);
        }
        tree.directory("/dev/mapper");
        tree.directory("/etc/iscsi/nodes");
        tree.write("/etc/multipath/wwids", "");
        FakeHost { machine: Machine::new(tree, direct), directory }
    }

    pub fn host(&self) -> Host {
        Host::new(Root::at(self.directory.path()), Arc::clone(&self.machine) as Arc<dyn Runner>)
    }

    pub fn tree(&self) -> &Tree {
        &self.machine.tree
    }

    // ---- the storage ----

    /// A portal somebody listens on.
    pub fn portal(&self) -> String {
        self.add_portal(Portal::listening())
    }

    pub fn portals<const N: usize>(&self) -> [String; N] {
        std::array::from_fn(|_| self.portal())
    }

    /// A portal nobody listens on, which may come back.
    pub fn dead_portal(&self) -> String {
        let name = self.portal();
        self.stop_portal(&name);
        name
    }

    /// A portal that TCP does not reach from here.
    pub fn portal_elsewhere(&self, address: &str, port: u16) -> String {
        self.add_portal(Portal::elsewhere(address, port))
    }

    fn add_portal(&self, portal: Portal) -> String {
        let name = portal.name();
        self.machine.state().storage.portals.push(portal);
        name
    }

    pub fn stop_portal(&self, portal: &str) {
        self.machine.state().storage.portal_mut(portal).stop();
    }

    pub fn start_portal(&self, portal: &str) {
        self.machine.state().storage.portal_mut(portal).start();
    }

    pub fn target<S: AsRef<str>>(&self, iqn: &str, portals: &[S]) {
        let target = Target {
            iqn: iqn.to_owned(),
            portals: portals.iter().map(|portal| portal.as_ref().to_owned()).collect(),
            luns: std::collections::BTreeMap::new(),
            chap: None,
        };
        self.machine.state().storage.targets.push(target);
    }

    /// From now on the LUN maps this volume; what the host knows of it stays as it is.
    pub fn map_lun(&self, iqn: &str, lun: u64, volume: Volume) {
        self.machine.state().storage.target_mut(iqn).luns.insert(lun, volume);
    }

    pub fn unmap_lun(&self, iqn: &str, lun: u64) {
        self.machine.state().storage.target_mut(iqn).luns.remove(&lun);
    }

    pub fn require_chap(&self, iqn: &str, user: &str, password: &str) {
        self.machine.state().storage.target_mut(iqn).chap = Some((user.to_owned(), password.to_owned()));
    }

    pub fn require_discovery_chap(&self, user: &str, password: &str) {
        self.machine.state().storage.discovery_chap = Some((user.to_owned(), password.to_owned()));
    }

    // ---- the host's manners and troubles ----

    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.machine.state().manners);
    }

    /// What becomes of every command, write or request whose line has this in it.
    pub fn trouble(&self, pattern: &str, trouble: Trouble) {
        self.machine.state().expect_trouble(pattern, trouble, u32::MAX);
    }

    pub fn trouble_times(&self, times: u32, pattern: &str, trouble: Trouble) {
        self.machine.state().expect_trouble(pattern, trouble, times);
    }

    /// Whatever waits for `state.let_go` goes on.
    pub fn let_go(&self) {
        self.machine.state().let_go = true;
        self.machine.announce();
    }

    // ---- what others did before ----

    /// A session somebody else has, with its record.
    pub fn log_in(&self, portal: &str, iqn: &str) -> u32 {
        let record = node_db::fresh(self.tree(), portal, iqn, "default");
        node_db::write(self.tree(), &node_db::place(portal, iqn), &record);
        let mut state = self.machine.state();
        self.machine.add_session(&mut state, portal, iqn).sid
    }

    /// A disk on a session, complete with links and map when it was to get one.
    pub fn scan_in(&self, sid: u32, lun: u64) -> String {
        let name = {
            let mut state = self.machine.state();
            self.machine.add_disk(&mut state, sid, lun).expect("the LUN maps a volume and is not a disk yet")
        };
        self.settle();
        name
    }

    pub fn end_session(&self, sid: u32) {
        let mut state = self.machine.state();
        self.machine.remove_session(&mut state, sid);
    }

    /// Something that is no multipath map is built on a device: LVM, LUKS.
    pub fn build_on(&self, below: &str, device: &str, name: &str, uuid: &str) {
        self.machine.write_device_mapper(device, name, uuid, super::storage::GIB);
        self.machine.hold(device, below);
    }

    // ---- looking ----

    /// Waits until udev and multipathd have nothing to do any more.
    pub fn settle(&self) {
        let settled = self.machine.wait_until(SOON, |_| self.machine.is_quiet());
        assert!(settled, "udev and multipathd have things to do after {SOON:?}");
    }

    /// Everything done to the machine, in order.
    pub fn journal(&self) -> Vec<String> {
        self.machine.state().journal.clone()
    }

    /// The journal for reading: what is repeated stands once with its count.
    pub fn story(&self) -> String {
        let mut story: Vec<(String, usize)> = Vec::new();
        for line in self.journal() {
            match story.last_mut() {
                Some((last, times)) if *last == line => *times += 1,
                _ => story.push((line, 1)),
            }
        }
        story.iter().map(|(line, times)| format!("\n  {times} x {line}")).collect()
    }

    /// The lines of the journal that hold this.
    pub fn done(&self, what: &str) -> Vec<String> {
        self.journal().into_iter().filter(|line| line.contains(what)).collect()
    }

    pub fn forget_journal(&self) {
        self.machine.state().journal.clear();
    }

    pub fn logins(&self) -> Vec<Login> {
        self.machine.state().logins.clone()
    }

    pub fn disks(&self) -> Vec<String> {
        self.machine.state().disks.keys().cloned().collect()
    }

    /// Name of the disk a portal's session has at a LUN.
    pub fn disk(&self, portal: &str, iqn: &str, lun: u64) -> Option<String> {
        let state = self.machine.state();
        state.sessions_of(portal, iqn).iter().find_map(|session| state.disk_at(session.sid, lun))
    }

    pub fn has_session(&self, portal: &str, iqn: &str) -> bool {
        !self.machine.state().sessions_of(portal, iqn).is_empty()
    }

    /// The number of the SCSI host of a portal's session.
    pub fn host_number(&self, portal: &str, iqn: &str) -> u32 {
        self.machine.state().sessions_of(portal, iqn)[0].host
    }

    /// The disks of the only map, in order.
    pub fn slaves(&self) -> Vec<String> {
        let state = self.machine.state();
        let mut slaves = state.maps.values().next().map(|map| map.slaves.clone()).unwrap_or_default();
        slaves.sort();
        slaves
    }

    pub fn record(&self, portal: &str, iqn: &str) -> Option<Record> {
        let file = node_db::file_of(self.tree(), portal, iqn)?;
        self.tree().read(&file).map(|text| Record::parse(&text))
    }

    /// Waits for something the machine or a late path does by itself.
    pub fn wait_for(&self, what: &str, wanted: impl FnMut(&State) -> bool) {
        assert!(self.machine.wait_until(SOON, wanted), "{what} did not happen within {SOON:?}: {}", self.story());
    }

    /// Everything of any volume that is on the host.
    pub fn leftovers(&self) -> Vec<String> {
        let state = self.machine.state();
        let mut left: Vec<String> =
            state.sessions.values().map(|session| format!("session {} {}", session.portal(), session.iqn)).collect();
        left.extend(state.disks.keys().map(|disk| format!("disk {disk}")));
        left.extend(state.nameless.keys().map(|hctl| format!("SCSI device {hctl}")));
        left.extend(state.maps.values().map(|map| format!("map {}", map.name)));
        left.extend(state.watched.keys().map(|disk| format!("multipathd watches {disk}")));
        let tree = self.tree();
        for directory in
            ["/dev/disk/by-path", "/dev/disk/by-id", "/dev/mapper", "/etc/iscsi/nodes", "/etc/iscsi/send_targets"]
        {
            left.extend(tree.names(directory).into_iter().map(|name| format!("{directory}/{name}")));
        }
        let hidden = tree.names("/etc/iscsi").into_iter().filter(|name| name.starts_with('.'));
        left.extend(hidden.map(|name| format!("/etc/iscsi/{name}")));
        let wwids = tree.read("/etc/multipath/wwids").unwrap_or_default();
        left.extend(wwids.lines().filter(|line| !line.starts_with('#')).map(|wwid| format!("wwids {wwid}")));
        left
    }

    /// The host is as it was before any attach; udev may take its moment.
    pub fn assert_clean(&self) {
        let clean = || self.leftovers().is_empty();
        let deadline = std::time::Instant::now() + SOON;
        while !clean() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(clean(), "left on the host: {:#?}\nafter {}", self.leftovers(), self.story());
    }
}
