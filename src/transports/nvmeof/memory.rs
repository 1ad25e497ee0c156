//! Where a subsystem and a namespace of this host were met last.
//!
//! The kernel has no index of names or identities: one after the other has to be read.  So the place something had the last
//! time is looked at first.  That is a guess as well: numbers become others' when controllers are disconnected.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::host::root::Root;
use crate::host::view::nvme_controller::Controller;
use crate::host::view::nvme_namespace::Identity;
use crate::host::view::nvme_subsystem::{self, Subsystem};
use crate::identifiers::{DeviceName, Nqn};

/// No more is kept of a kind; there are drivers that give each volume a subsystem of its own.
const KEPT: usize = 4096;

static SUBSYSTEMS: Last<Nqn, u32> = Last::nothing();
static NAMESPACES: Last<(Nqn, Identity), (DeviceName, Controller)> = Last::nothing();

struct Last<K, V>(Mutex<BTreeMap<K, V>>);

impl<K: Ord, V: Clone> Last<K, V> {
    const fn nothing() -> Last<K, V> {
        Last(Mutex::new(BTreeMap::new()))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &K) -> Option<V> {
        self.known().get(key).cloned()
    }

    fn keep(&self, key: K, value: V) {
        let mut known = self.known();
        if known.len() >= KEPT && !known.contains_key(&key) {
            known.clear();
        }
        known.insert(key, value);
    }
}

/// The subsystems of the name, each looked for when it is asked for.
pub fn subsystems<'a>(root: &'a Root, nqn: &'a Nqn) -> impl Iterator<Item = Subsystem> + 'a {
    let number = SUBSYSTEMS.get(nqn);
    let known = number.and_then(|number| nvme_subsystem::numbered(root, number, nqn));
    let others = std::iter::once_with(move || nvme_subsystem::named(root, nqn)).flatten();
    known.into_iter().chain(others.filter(move |other| Some(other.number()) != number))
}

/// A volume was found in this one.
pub fn keep_subsystem(nqn: &Nqn, subsystem: &Subsystem) {
    SUBSYSTEMS.keep(nqn.clone(), subsystem.number());
}

/// The device a namespace of a subsystem was, and a controller that led to it.
pub fn namespace(nqn: &Nqn, identity: Identity) -> Option<(DeviceName, Controller)> {
    NAMESPACES.get(&(nqn.clone(), identity))
}

/// The controller leads to the namespace, which is this device.
pub fn keep_namespace(nqn: &Nqn, identity: Identity, device: &DeviceName, controller: &Controller) {
    NAMESPACES.keep((nqn.clone(), identity), (device.clone(), controller.clone()));
}
