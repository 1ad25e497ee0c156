//! NVMe-oF on the pretend machine: subsystems of the storage, controllers and namespaces of the kernel, laid out as
//! Linux 6.1 does (drivers/nvme/host), `nvme` and `/dev/nvme-fabrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use os_brick_engine::error::{Error, Result};
use os_brick_engine::host::act::nvme::Connection;

use super::machine::{Machine, State, Trouble};
use super::storage::split_portal;

pub const HOST_NQN: &str = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555";
pub const HOST_ID: &str = "11111111-2222-3333-4444-555555555555";

/// A namespace as the storage has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Namespace {
    pub uuid: Option<String>,
    pub nguid: Option<String>,
    /// In bytes.
    pub size: u64,
    /// Blocks of two to the power of this.
    pub shift: u8,
    /// `optimized`, `inaccessible` ...; None without ANA.
    pub ana: Option<&'static str>,
    /// What `mdadm --examine` and `blkid -p` find on it.
    pub holds: Option<String>,
}

impl Namespace {
    /// One of the namespaces tests use; the same number is the same volume.
    pub fn number(number: u8) -> Namespace {
        Namespace {
            uuid: Some(uuid(number)),
            nguid: Some(format!("{number:08x}-0000-0000-0000-00000000beef")),
            size: super::storage::GIB,
            shift: 9,
            ana: None,
            holds: None,
        }
    }

    pub fn sized(self, size: u64) -> Namespace {
        Namespace { size, ..self }
    }

    /// The kernel's `wwid`, as far as it is made of an identity.
    fn wwid(&self) -> Option<String> {
        let by_uuid = self.uuid.as_ref().map(|uuid| format!("uuid.{uuid}"));
        by_uuid.or_else(|| self.nguid.as_ref().map(|nguid| format!("eui.{}", nguid.replace('-', ""))))
    }
}

/// The UUID of one of the namespaces.
pub fn uuid(number: u8) -> String {
    format!("{number:08x}-1111-2222-3333-444444444444")
}

#[derive(Debug, Default)]
pub struct Subsystem {
    pub portals: Vec<String>,
    pub namespaces: BTreeMap<u32, Namespace>,
    /// Namespaces a controller shows only after this many looks.
    pub hidden_looks: u32,
}

#[derive(Debug, Clone)]
pub struct Controller {
    pub nqn: String,
    pub address: String,
    pub port: String,
    pub transport: String,
    pub host_nqn: String,
    pub state: &'static str,
    /// What the host has of the namespaces: by number, as last read.
    pub seen: BTreeMap<u32, Namespace>,
}

/// What the machine has of NVMe.
pub struct Nvme {
    pub subsystems: BTreeMap<String, Subsystem>,
    pub controllers: BTreeMap<u32, Controller>,
    /// Instance numbers of the subsystems as the kernel met them.
    pub instances: Vec<String>,
    /// The device each namespace of a subsystem has.
    pub heads: BTreeMap<(String, u32), u32>,
    pub native: bool,
    /// How soon a namespace appears after a look.
    pub delay: Duration,
    /// Whether the storage tells of new namespaces by itself.
    pub announces: bool,
    /// Arrays: name of the md device to its name and legs.
    pub arrays: BTreeMap<String, (String, Vec<String>)>,
}

impl Default for Nvme {
    fn default() -> Self {
        Nvme {
            subsystems: BTreeMap::new(),
            controllers: BTreeMap::new(),
            instances: Vec::new(),
            heads: BTreeMap::new(),
            native: true,
            delay: Duration::from_millis(4),
            announces: false,
            arrays: BTreeMap::new(),
        }
    }
}

pub const CTL: &str = "/sys/devices/virtual/nvme-fabrics/ctl";
/// Where the kernel links a controller of a fabric from.
const CLASSES: [&str; 2] = ["/sys/class/nvme-fabrics/ctl", "/sys/class/nvme"];

const BY_ID: &str = "/dev/disk/by-id";

fn refused(reason: &str) -> Error {
    Error::Io { verb: "connect through", path: "/dev/nvme-fabrics".into(), reason: reason.to_owned() }
}

impl Nvme {
    /// The instance number of a subsystem.
    fn instance(&mut self, nqn: &str) -> usize {
        if let Some(index) = self.instances.iter().position(|known| known == nqn) {
            return index;
        }
        self.instances.push(nqn.to_owned());
        self.instances.len() - 1
    }

    /// The device of a namespace: `nvme0n1`.
    pub fn device(&mut self, nqn: &str, nsid: u32) -> String {
        let instance = self.instance(nqn);
        let taken: Vec<u32> = self.heads.iter().filter(|((of, _), _)| of == nqn).map(|(_, number)| *number).collect();
        let next = (1..).find(|number| !taken.contains(number)).expect("there is always another number");
        let number = *self.heads.entry((nqn.to_owned(), nsid)).or_insert(next);
        format!("nvme{instance}n{number}")
    }

    /// The controller a portal has.
    pub fn of_portal(&self, portal: &str, nqn: &str) -> Option<u32> {
        let (address, port) = split_portal(portal);
        let same = |c: &Controller| c.nqn == nqn && c.address == address && c.port == port.to_string();
        self.controllers.iter().find(|(_, controller)| same(controller)).map(|(number, _)| *number)
    }
}

impl Machine {
    /// What the kernel does with a line written to `/dev/nvme-fabrics`.
    pub fn fabrics(&self, state: &mut State, options: &str) -> Result<Connection> {
        let option = |key: &str| {
            options.split(',').find_map(|part| part.strip_prefix(key)?.strip_prefix('=')).unwrap_or("").to_owned()
        };
        let (nqn, address, port) = (option("nqn"), option("traddr"), option("trsvcid"));
        let same =
            |c: &Controller| c.nqn == nqn && c.address == address && c.port == port && c.host_nqn == option("hostnqn");
        if state.nvme.controllers.values().any(same) {
            return Ok(Connection::Already);
        }
        let listening = state
            .storage
            .portals
            .iter()
            .any(|portal| portal.alive && portal.address == address && portal.port.to_string() == port);
        let serves = state.nvme.subsystems.get(&nqn).is_some_and(|subsystem| {
            subsystem.portals.iter().any(|portal| split_portal(portal) == (address.clone(), port.parse().unwrap_or(0)))
        });
        if !listening || !serves {
            return Err(refused("Connection refused (os error 111)"));
        }
        let controller = Controller {
            nqn,
            address,
            port,
            transport: option("transport"),
            host_nqn: option("hostnqn"),
            state: "live",
            seen: BTreeMap::new(),
        };
        let number = self.add_controller(state, controller);
        Ok(Connection::Made(format!("instance={number},cntlid=1")))
    }

    pub fn add_controller(&self, state: &mut State, controller: Controller) -> u32 {
        let number = (0..).find(|number| !state.nvme.controllers.contains_key(number)).expect("there is another");
        let directory = format!("{CTL}/nvme{number}");
        let address = format!("traddr={},trsvcid={},src_addr=127.0.0.1", controller.address, controller.port);
        for (name, value) in [
            ("subsysnqn", controller.nqn.as_str()),
            ("transport", &controller.transport),
            ("address", &address),
            ("hostnqn", &controller.host_nqn),
            ("state", controller.state),
            ("reconnect_delay", "10"),
            ("delete_controller", ""),
            ("rescan_controller", ""),
        ] {
            self.tree.write(&format!("{directory}/{name}"), format!("{value}\n"));
        }
        for class in CLASSES {
            self.tree.link(&format!("{class}/nvme{number}"), &directory);
        }
        self.tree.write(&format!("/dev/nvme{number}"), "");
        let subsystem = state.nvme.instance(&controller.nqn);
        self.join_subsystem(subsystem, &controller.nqn, number);
        state.nvme.controllers.insert(number, controller);
        self.look_soon(state, number);
        number
    }

    /// A look for namespaces, a moment later.
    fn look_soon(&self, state: &State, number: u32) {
        self.later(state.nvme.delay, move |machine, state| machine.look_for_namespaces(state, number));
    }

    pub fn look_for_namespaces(&self, state: &mut State, number: u32) {
        let Some(controller) = state.nvme.controllers.get(&number).cloned() else { return };
        let Some(subsystem) = state.nvme.subsystems.get_mut(&controller.nqn) else { return };
        if subsystem.hidden_looks > 0 {
            subsystem.hidden_looks -= 1;
            return;
        }
        let now = subsystem.namespaces.clone();
        let identity = |namespace: &Namespace| (namespace.uuid.clone(), namespace.nguid.clone());
        for (nsid, seen) in &controller.seen {
            if now.get(nsid).map(identity) != Some(identity(seen)) {
                self.remove_path(state, number, *nsid);
            }
        }
        for (nsid, namespace) in &now {
            self.write_path(state, number, *nsid, namespace);
        }
    }

    fn path_name(&self, state: &mut State, number: u32, nsid: u32) -> (String, String) {
        let nqn = state.nvme.controllers[&number].nqn.clone();
        let device = state.nvme.device(&nqn, nsid);
        if !state.nvme.native {
            let name = format!("nvme{number}n{}", device.rsplit_once('n').expect("a device").1);
            return (name.clone(), name);
        }
        let (subsystem, namespace) = device.rsplit_once('n').expect("a device has a number");
        (format!("{subsystem}c{number}n{namespace}"), device.clone())
    }

    fn write_path(&self, state: &mut State, number: u32, nsid: u32, namespace: &Namespace) {
        let (path, device) = self.path_name(state, number, nsid);
        let directory = format!("{CTL}/nvme{number}/{path}");
        let attribute = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                self.tree.write(&format!("{directory}/{name}"), format!("{value}\n"));
            }
        };
        attribute("nsid", Some(nsid.to_string()));
        // In the place of a UUID that is not there the kernel shows the NGUID.
        attribute("uuid", namespace.uuid.clone().or_else(|| namespace.nguid.clone()));
        attribute("nguid", namespace.nguid.clone());
        attribute("ana_state", namespace.ana.map(str::to_owned));
        if let Some(controller) = state.nvme.controllers.get_mut(&number) {
            controller.seen.insert(nsid, namespace.clone());
        }
        // The kernel adds the disk with the first path the storage serves (nvme_mpath_set_live).
        if namespace.ana.is_some_and(|state| !state.ends_with("optimized")) {
            return;
        }
        let head = format!("/sys/devices/virtual/block/{device}");
        self.tree.write(&format!("{head}/size"), format!("{}\n", namespace.size / 512));
        self.tree.directory(&format!("{head}/holders"));
        self.tree.directory(&format!("{head}/slaves"));
        self.tree.link(&format!("/sys/block/{device}"), &head);
        if state.nvme.native {
            let (subsystem, _) = device.rsplit_once('n').expect("a device has a number");
            self.tree.link(&format!("{head}/device"), &super::nvme_subsystem::directory(&subsystem[4..]));
        }
        if let Some(wwid) = namespace.wwid() {
            self.tree.link(&format!("{BY_ID}/nvme-{wwid}"), &format!("/dev/{device}"));
        }
        if !self.tree.exists(&format!("/dev/{device}")) {
            self.tree.write(&format!("/dev/{device}"), vec![0; 8192]);
        }
    }

    fn remove_path(&self, state: &mut State, number: u32, nsid: u32) {
        let (path, device) = self.path_name(state, number, nsid);
        self.tree.remove(&format!("{CTL}/nvme{number}/{path}"));
        let Some(controller) = state.nvme.controllers.get_mut(&number) else { return };
        controller.seen.remove(&nsid);
        let nqn = controller.nqn.clone();
        let elsewhere = state.nvme.controllers.values().any(|other| other.nqn == nqn && other.seen.contains_key(&nsid));
        if !elsewhere || !state.nvme.native {
            self.tree.remove(&format!("/sys/block/{device}"));
            self.tree.remove(&format!("/sys/devices/virtual/block/{device}"));
            self.tree.remove(&format!("/dev/{device}"));
            self.tree.remove_links_to(BY_ID, &device);
            state.nvme.heads.remove(&(nqn, nsid));
        }
    }

    pub fn remove_controller(&self, state: &mut State, number: u32) {
        let Some(controller) = state.nvme.controllers.get(&number).cloned() else { return };
        for nsid in controller.seen.keys() {
            self.remove_path(state, number, *nsid);
        }
        state.nvme.controllers.remove(&number);
        for class in CLASSES {
            self.tree.remove(&format!("{class}/nvme{number}"));
        }
        self.tree.remove(&format!("{CTL}/nvme{number}"));
        self.leave_subsystem(number);
        self.tree.remove(&format!("/dev/nvme{number}"));
    }

    /// A write to an attribute of a controller.
    pub fn nvme_write(&self, state: &mut State, controller: &str, attribute: &str) {
        let number = controller.trim_start_matches("nvme").parse().expect("a controller has a number");
        match attribute {
            "delete_controller" => self.remove_controller(state, number),
            "rescan_controller" => self.look_soon(state, number),
            _ => panic!("nobody writes to {attribute}"),
        }
    }

    /// `nvme ...`, for callers that run every command themselves.
    pub fn nvme(&self, state: &mut State, args: &[&str]) -> (i32, String) {
        let after = |flag: &str| {
            let at = args.iter().position(|arg| *arg == flag);
            at.and_then(|at| args.get(at + 1)).map_or(String::new(), |value| (*value).to_owned())
        };
        let controller = |path: &str| path.trim_start_matches("/dev/").to_owned();
        match args {
            ["connect", ..] => {
                let host = if args.contains(&"-q") { after("-q") } else { HOST_NQN.to_owned() };
                let options = format!(
                    "nqn={},transport={},traddr={},trsvcid={},hostnqn={host}",
                    after("-n"),
                    after("-t"),
                    after("-a"),
                    after("-s")
                );
                match self.fabrics(state, &options) {
                    Ok(Connection::Made(_)) => (0, String::new()),
                    Ok(Connection::Already) => (114, "already connected\n".to_owned()),
                    Err(_) => (1, "failed to write to nvme-fabrics device\n".to_owned()),
                }
            }
            ["disconnect", "-d", path] => {
                self.nvme_write(state, &controller(path), "delete_controller");
                (0, String::new())
            }
            ["ns-rescan", path] => {
                self.nvme_write(state, &controller(path), "rescan_controller");
                (0, String::new())
            }
            ["id-ns", "-ojson", path] => (0, self.id_ns(state, &controller(path))),
            _ => panic!("nvme has no {args:?}"),
        }
    }

    fn id_ns(&self, state: &mut State, device: &str) -> String {
        let keys: Vec<(String, u32)> = state.nvme.heads.keys().cloned().collect();
        let of = keys.into_iter().find(|(nqn, nsid)| state.nvme.device(nqn, *nsid) == device);
        let (nqn, nsid) = of.expect("the device is a namespace");
        let namespace = &state.nvme.subsystems[&nqn].namespaces[&nsid];
        format!(
            r#"{{"nsze": {}, "flbas": 1, "lbafs": [{{"ms": 0, "ds": 9, "rp": 0}}, {{"ms": 0, "ds": {}, "rp": 0}}]}}"#,
            namespace.size >> namespace.shift,
            namespace.shift
        )
    }

    /// What becomes of a connection or a question to a controller, as of every other change.
    pub fn nvme_trouble(&self, line: &str) -> Result<()> {
        match self.note(line) {
            Some(Trouble::Refused) => Err(refused("Input/output error (os error 5)")),
            Some(Trouble::Slow(time)) => {
                std::thread::sleep(time);
                Ok(())
            }
            Some(Trouble::Until(wanted)) if !self.comes_to_be(wanted) => {
                Err(refused("what was waited for did not come to be"))
            }
            _ => Ok(()),
        }
    }
}
