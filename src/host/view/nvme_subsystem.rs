//! `/sys/class/nvme-subsystem/nvme-subsysN` (kernel: drivers/nvme/host/core.c, since Linux 4.15): what the controllers of one
//! subsystem of the storage have in common.

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::nvme_controller::Controller;
use crate::identifiers::{DeviceName, Nqn};

const ALL: &str = "/sys/class/nvme-subsystem";

/// A subsystem as this host knows it: `nvme-subsys0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subsystem {
    number: u32,
}

/// Those of a name, each looked for when it is asked for.  The kernel joins the controllers of a name in one; another may
/// stand beside it while it goes, without controllers.
pub fn named<'a>(root: &'a Root, nqn: &'a Nqn) -> impl Iterator<Item = Subsystem> + 'a {
    let numbers = attribute::unsorted_names(&root.path(ALL))
        .filter_map(|name| name.strip_prefix("nvme-subsys").and_then(|digits| digits.parse().ok()));
    numbers.filter_map(move |number| numbered(root, number, nqn))
}

/// The one with a number, if that is its name.
pub fn numbered(root: &Root, number: u32, nqn: &Nqn) -> Option<Subsystem> {
    let subsystem = Subsystem { number };
    let shown = attribute::text(&root.path(subsystem.directory()).join("subsysnqn"));
    (shown.as_deref() == Some(nqn.as_str())).then_some(subsystem)
}

impl Subsystem {
    pub fn number(&self) -> u32 {
        self.number
    }

    fn directory(&self) -> String {
        format!("{ALL}/nvme-subsys{}", self.number)
    }

    /// Its controllers by number: it has a link to each.
    pub fn controllers(&self, root: &Root) -> Vec<Controller> {
        Controller::all_in(&root.path(self.directory()))
    }

    /// The device the kernel has joined from the paths to one of its namespaces: `nvme0n1`.
    pub fn joined(&self, namespace: u32) -> Option<DeviceName> {
        format!("nvme{}n{namespace}", self.number).parse().ok()
    }
}
