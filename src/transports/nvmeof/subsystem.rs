//! Which subsystem of this host has a name.
//!
//! The kernel has no index of names: one after the other has to be read.  So the number a name had the last time is looked
//! at first.  That is a guess as well: a number becomes another subsystem's when its controllers were disconnected.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::host::root::Root;
use crate::host::view::nvme_subsystem::{self, Subsystem};
use crate::identifiers::Nqn;

/// Of drivers that give each volume a subsystem no more names are kept.
const KEPT: usize = 1024;

static LAST: Mutex<BTreeMap<Nqn, u32>> = Mutex::new(BTreeMap::new());

fn last() -> MutexGuard<'static, BTreeMap<Nqn, u32>> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those of the name, each looked for when it is asked for.
pub fn named<'a>(root: &'a Root, nqn: &'a Nqn) -> impl Iterator<Item = Subsystem> + 'a {
    let number = last().get(nqn).copied();
    let known = number.and_then(|number| nvme_subsystem::numbered(root, number, nqn));
    let others = std::iter::once_with(move || nvme_subsystem::named(root, nqn)).flatten();
    known.into_iter().chain(others.filter(move |other| Some(other.number()) != number))
}

/// A volume was found in this one.
pub fn remember(nqn: &Nqn, subsystem: &Subsystem) {
    let mut last = last();
    if last.len() >= KEPT && !last.contains_key(nqn) {
        last.clear();
    }
    last.insert(nqn.clone(), subsystem.number());
}
