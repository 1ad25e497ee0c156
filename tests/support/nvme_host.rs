//! The pretend machine as tests of NVMe-oF handle it.

use std::collections::BTreeMap;

use super::fake_host::FakeHost;
use super::machine::State;
use super::nvme::{Controller, HOST_ID, HOST_NQN, Namespace, Nvme, Subsystem};
use super::storage::split_portal;

impl FakeHost {
    /// A host that has NVMe: native multipath, a name and an id.
    pub fn nvme() -> FakeHost {
        FakeHost::new().with_nvme()
    }

    #[must_use]
    pub fn with_nvme(self) -> FakeHost {
        let tree = self.tree();
        tree.write("/sys/module/nvme_core/parameters/multipath", "Y\n");
        tree.directory("/sys/class/nvme-fabrics/ctl");
        tree.write("/etc/nvme/hostnqn", HOST_NQN);
        tree.write("/etc/nvme/hostid", format!("{HOST_ID}\n"));
        tree.write("/dev/nvme-fabrics", "");
        self
    }

    /// The kernel was told at boot to keep paths apart.
    pub fn without_native_multipath(&self) {
        self.tree().write("/sys/module/nvme_core/parameters/multipath", "N\n");
        self.nvme_state(|nvme| nvme.native = false);
    }

    pub fn nvme_state<T>(&self, change: impl FnOnce(&mut Nvme) -> T) -> T {
        change(&mut self.machine.state().nvme)
    }

    pub fn subsystem<S: AsRef<str>>(&self, nqn: &str, portals: &[S]) {
        let portals = portals.iter().map(|portal| portal.as_ref().to_owned()).collect();
        let subsystem = Subsystem { portals, ..Subsystem::default() };
        self.nvme_state(|nvme| nvme.subsystems.insert(nqn.to_owned(), subsystem));
    }

    /// From now on the storage has this namespace; the host learns of it when it looks, or is told.
    pub fn map_namespace(&self, nqn: &str, nsid: u32, namespace: Namespace) {
        self.change_namespaces(nqn, |namespaces| drop(namespaces.insert(nsid, namespace)));
    }

    pub fn unmap_namespace(&self, nqn: &str, nsid: u32) {
        self.change_namespaces(nqn, |namespaces| drop(namespaces.remove(&nsid)));
    }

    fn change_namespaces(&self, nqn: &str, change: impl FnOnce(&mut BTreeMap<u32, Namespace>)) {
        let mut state = self.machine.state();
        change(&mut state.nvme.subsystems.get_mut(nqn).expect("there is such a subsystem").namespaces);
        if state.nvme.announces {
            self.look_everywhere(&mut state, nqn);
        }
    }

    fn look_everywhere(&self, state: &mut State, nqn: &str) {
        let of = state.nvme.controllers.iter().filter(|(_, controller)| controller.nqn == nqn);
        for number in of.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.machine.look_for_namespaces(state, number);
        }
    }

    /// A controller somebody else connected, with its namespaces.
    pub fn connected(&self, portal: &str, nqn: &str, state: &'static str) -> String {
        self.connected_as(portal, nqn, state, HOST_NQN)
    }

    pub fn connected_as(&self, portal: &str, nqn: &str, controller_state: &'static str, host_nqn: &str) -> String {
        let (address, port) = split_portal(portal);
        let controller = Controller {
            nqn: nqn.to_owned(),
            address,
            port: port.to_string(),
            transport: "tcp".to_owned(),
            host_nqn: host_nqn.to_owned(),
            state: controller_state,
            seen: BTreeMap::new(),
        };
        let mut state = self.machine.state();
        let number = self.machine.add_controller(&mut state, controller);
        self.machine.look_for_namespaces(&mut state, number);
        drop(state);
        self.settle();
        format!("nvme{number}")
    }

    pub fn set_controller_state(&self, controller: &str, state: &str) {
        self.tree().write(&format!("/sys/class/nvme-fabrics/ctl/{controller}/state"), format!("{state}\n"));
    }

    /// `nvme0 127.0.0.1:4420 NQN`, for every controller.
    pub fn controllers(&self) -> Vec<String> {
        let state = self.machine.state();
        let line = |(number, c): (&u32, &Controller)| format!("nvme{number} {}:{} {}", c.address, c.port, c.nqn);
        state.nvme.controllers.iter().map(line).collect()
    }

    pub fn controller_of(&self, portal: &str, nqn: &str) -> Option<String> {
        self.nvme_state(|nvme| nvme.of_portal(portal, nqn)).map(|number| format!("nvme{number}"))
    }

    /// A connection ends by itself, or by somebody else's hand.
    pub fn end_controller(&self, controller: &str) {
        let number = controller.trim_start_matches("nvme").parse().expect("a controller has a number");
        self.machine.remove_controller(&mut self.machine.state(), number);
    }

    /// Something is built on a device: a file system on a partition does not show, LVM and LUKS do.
    pub fn hold_device(&self, below: &str, device: &str) {
        self.build_on(below, device, "cinder-vol", "CRYPT-LUKS2-0001");
    }

    pub fn arrays(&self) -> Vec<String> {
        let state = self.machine.state();
        state.nvme.arrays.values().map(|(name, legs)| format!("{name}: {}", legs.join(" "))).collect()
    }

    /// No controller, namespace or array is left.
    #[track_caller]
    pub fn assert_no_nvme(&self) {
        self.settle();
        let mut left = self.controllers();
        left.extend(self.arrays());
        let is_device = |name: &String| name.starts_with("nvme") || name.starts_with("md");
        left.extend(self.tree().names("/sys/block").into_iter().filter(is_device));
        left.extend(self.tree().names("/dev/md"));
        assert_eq!(left, Vec::<String>::new(), "left on the host after {}", self.story());
    }
}
