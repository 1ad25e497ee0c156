//! The disks of a volume: those a scan brought, and those that were there before.

use std::collections::HashSet;

use log::{info, warn};

use crate::devices::identify::{self, Verdict};
use crate::devices::multipath;
use crate::devices::remove::{self, Collected, Removal, Used};
use crate::error::{Error, Result};
use crate::fan_out::fan_out;
use crate::host::Host;
use crate::host::view::{block, scsi};
use crate::identifiers::{DeviceName, Wwid};
use crate::log::FIBRE_CHANNEL;

use super::fabric::Route;
use super::operation::Context;

/// A path that is up.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub route: Route,
    pub disk: DeviceName,
    pub identity: Option<Wwid>,
    /// Whether the disk was not on the host before this attach.
    pub fresh: bool,
}

/// What became of disks that were there before.
#[derive(Default)]
pub struct Accepted {
    pub paths: Vec<Path>,
    /// Disks that cannot be asked what they are.
    pub refused: Vec<(DeviceName, Error)>,
}

/// Asks disks that were there before what they are, all at once.  Leftovers of another volume are removed with their
/// map; one that cannot be removed is an error.
pub fn accept(context: &Context, present: Vec<(Route, DeviceName)>) -> Result<Accepted> {
    let host = &context.host;
    let verdicts = fan_out(&present, |(_, disk)| identify::ask_again(host, disk));
    let mut accepted = Accepted::default();
    let mut leftovers = Vec::new();
    for ((route, disk), verdict) in present.into_iter().zip(verdicts) {
        match verdict {
            Ok(Verdict::Current(identity)) => {
                let identity = identity.or_else(|| identify::identity(host, &disk));
                accepted.paths.push(Path { route, disk, identity, fresh: false });
            }
            Ok(Verdict::Stale { was, now }) => {
                identify::report_stale(&disk, &was, now.as_ref());
                leftovers.push((disk, was));
            }
            Err(error) => {
                warn!(target: FIBRE_CHANNEL, "{route}: {disk} does not say what it is: {}", error.describe());
                accepted.refused.push((disk, error));
            }
        }
    }
    remove_leftovers(host, &leftovers)?;
    accepted.paths.retain(|path| block::exists(&host.root, &path.disk));
    Ok(accepted)
}

fn remove_leftovers(host: &Host, leftovers: &[(DeviceName, String)]) -> Result<()> {
    let mut done: HashSet<DeviceName> = HashSet::new();
    for (disk, was) in leftovers {
        if done.contains(disk) {
            continue;
        }
        let map = multipath::find_map(host, std::slice::from_ref(disk));
        let mut disks = map.map(|map| block::slaves(&host.root, &map.device)).unwrap_or_default();
        if !disks.contains(disk) {
            disks.push(disk.clone());
        }
        let removal = Removal { disks: &disks, used: Used::Nothing, force: false };
        remove::remove(host, &removal, &mut Collected::new(false)).map_err(|error| Error::WrongIdentity {
            device: disk.dev_path().display().to_string(),
            reason: format!(
                "it is a leftover of {was} on a LUN that maps another disk now, and cannot be removed: {}",
                error.describe()
            ),
        })?;
        done.extend(disks);
    }
    Ok(())
}

/// Whether a disk that was there before can be asked now: one whose path is away answers late or never.
pub fn can_answer(host: &Host, route: &Route, disk: &DeviceName) -> bool {
    route.is_online && scsi::state(&host.root, disk).is_none_or(|state| state == "running")
}

/// All paths carry one identity: which of two is the volume nobody can say.
pub fn check_identities(paths: &[Path]) -> Result<()> {
    let Some(first) = paths.first() else { return Ok(()) };
    let shown = |identity: &Option<Wwid>| identity.as_ref().map_or("no identity".to_owned(), Wwid::to_string);
    match paths.iter().find(|path| path.identity != first.identity) {
        None => Ok(()),
        Some(other) => Err(Error::WrongIdentity {
            device: format!("{} ({})", other.disk.dev_path().display(), other.route),
            reason: format!(
                "it carries {}, while {} ({}) carries {}",
                shown(&other.identity),
                first.disk.dev_path().display(),
                first.route,
                shown(&first.identity)
            ),
        }),
    }
}

/// Removes disks nobody was given.
pub fn take_down(host: &Host, disks: &[DeviceName]) {
    if disks.is_empty() {
        return;
    }
    let names: Vec<&str> = disks.iter().map(DeviceName::as_str).collect();
    info!(target: FIBRE_CHANNEL, "removing {} again", names.join(", "));
    let removal = Removal { disks, used: Used::Nothing, force: true };
    if let Err(error) = remove::remove(host, &removal, &mut Collected::new(true)) {
        warn!(target: FIBRE_CHANNEL, "left behind: {}", error.describe());
    }
}
