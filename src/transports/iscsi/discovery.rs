//! The paths of a volume of which the properties name only one: what the portal says about its targets.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use crate::error::{Error, Result};
use crate::host::act::files;
use crate::host::act::lock::{self, Mode};
use crate::host::programs::iscsiadm::{self, Setting, Value};
use crate::host::view::node_record;
use crate::host::{Host, attribute};
use crate::identifiers::{Iqn, Portal};
use crate::log::ISCSI;
use crate::transports::portals;

use super::operation::Context;
use super::record;
use super::request::{Credentials, Target};

/// How long the discoveries of other volumes at the same portal may take.
const QUEUE: Duration = Duration::from_secs(180);

/// Asks the named portal for its targets and gives those that can be paths of the volume, the named one first.
pub fn discover(context: &Context, named: &Target) -> Result<Vec<Target>> {
    if context.reaches_portals_by_tcp() && context.host.runner.is_direct() {
        portals::wait_for_answer(&named.portal, &|| Ok(()))?;
    }
    let answers = ask(context, named)
        .map_err(|error| Error::PortalNotFound { portal: named.portal.to_string(), reason: error.describe() })?;
    let targets = candidates(named, answers);
    info!(target: ISCSI, "{} offers {} path(s) for {}", named.portal, targets.len(), named.iqn);
    Ok(targets)
}

fn ask(context: &Context, named: &Target) -> Result<Vec<(Portal, Iqn)>> {
    let host = &context.host;
    let portal = &named.portal;
    // Only iSER has a transport of its own in discovery.
    let interface = if context.interface == "iser" { "iser" } else { "default" };
    let Some(credentials) = &context.request.discovery_credentials else {
        return iscsiadm::send_targets(host, portal, interface);
    };
    // A portal has one discovery record, and it holds the credentials of one volume.
    let place = context.locks.discovery(&portal.key());
    let _alone = lock::acquire(&place, Mode::Exclusive, Instant::now() + QUEUE)?;
    if host.runner.is_direct() {
        by_file(context, portal, interface, credentials)
    } else {
        by_commands(context, portal, interface, credentials)
    }
}

/// With the credentials written into the record's file, where no argument list shows them.
fn by_file(
    context: &Context,
    portal: &Portal,
    interface: &str,
    credentials: &Credentials,
) -> Result<Vec<(Portal, Iqn)>> {
    let host = &context.host;
    // Says that the record is ours to delete, also to whoever comes after us when we are killed.
    let mark = Path::new("/etc/iscsi").join(format!(".os-brick-discovery-{},{}", portal.address(), portal.port()));
    let is_left = attribute::is_file(&host.root.path(&mark));
    if let Some((file, text)) = record_of(context, portal)?.filter(|_| !is_left) {
        let answers = store(host, &file, &text, credentials)
            .and_then(|()| iscsiadm::discover_with_record(host, portal, interface));
        // The operator's own record keeps what it says.
        record::write(host, &file, &(text + "\n"))?;
        return answers;
    }
    record::write(host, &mark, "")?;
    if is_left {
        iscsiadm::delete_discovery_record(host, portal, interface)?;
    }
    let answers = iscsiadm::new_discovery_record(host, portal, interface)
        .and_then(|()| record_of(context, portal)?.ok_or_else(|| not_found(portal)))
        .and_then(|(file, text)| store(host, &file, &text, credentials))
        .and_then(|()| iscsiadm::discover_with_record(host, portal, interface));
    match iscsiadm::delete_discovery_record(host, portal, interface).and_then(|()| files::remove(&host.root, &mark)) {
        Ok(()) => {}
        Err(error) => warn!(target: ISCSI, "the discovery record of {portal} stays: {}", error.describe()),
    }
    answers
}

fn not_found(portal: &Portal) -> Error {
    let reason = format!("iscsiadm made no discovery record for {portal} that could be found");
    Error::Io { verb: "read", path: PathBuf::from("/etc/iscsi/send_targets"), reason }
}

/// `send_targets/IP,PORT/st_config`
fn place_of(context: &Context, portal: &Portal) -> Option<PathBuf> {
    node_record::HOMES.iter().find_map(|home| {
        let directory = Path::new(home).with_file_name("send_targets");
        let file = directory.join(format!("{},{}", portal.address(), portal.port())).join("st_config");
        attribute::is_file(&context.host.root.path(&file)).then_some(file)
    })
}

fn record_of(context: &Context, portal: &Portal) -> Result<Option<(PathBuf, String)>> {
    let Some(file) = place_of(context, portal) else { return Ok(None) };
    Ok(node_record::read(&context.host.root, &file)?.map(|text| (file, text)))
}

const NAMES: [&str; 3] = [
    "discovery.sendtargets.auth.authmethod",
    "discovery.sendtargets.auth.username",
    "discovery.sendtargets.auth.password",
];

fn store(host: &Host, file: &Path, text: &str, credentials: &Credentials) -> Result<()> {
    let values = [credentials.method.as_str(), &credentials.username, credentials.password.reveal()];
    let settings: Vec<(&str, &str)> = NAMES.into_iter().zip(values).collect();
    record::write(host, file, &node_record::with_settings(text, &settings))
}

/// With the caller's own `execute=`.
fn by_commands(
    context: &Context,
    portal: &Portal,
    interface: &str,
    credentials: &Credentials,
) -> Result<Vec<(Portal, Iqn)>> {
    let host = &context.host;
    let had_record = place_of(context, portal).is_some();
    if !had_record {
        iscsiadm::new_discovery_record(host, portal, interface)?;
    }
    let settings = [
        Setting { name: NAMES[0], value: Value::Plain(&credentials.method) },
        Setting { name: NAMES[1], value: Value::Plain(&credentials.username) },
        Setting { name: NAMES[2], value: Value::Secret(&credentials.password) },
    ];
    let answers = iscsiadm::update_discovery_record(host, portal, interface, &settings)
        .and_then(|()| iscsiadm::discover_with_record(host, portal, interface));
    if !had_record && let Err(error) = iscsiadm::delete_discovery_record(host, portal, interface) {
        debug!(target: ISCSI, "the discovery record of {portal} stays: {}", error.describe());
    }
    answers
}

/// There are arrays with one name behind all portals, and arrays with a name for each portal.  When the named target
/// answers on every portal it is the former, and other names belong to other volumes; else every pair is tried, and
/// a pair that shows another disk is dropped again (`coordinate`).
pub fn candidates(named: &Target, answers: Vec<(Portal, Iqn)>) -> Vec<Target> {
    let all: HashSet<&Portal> = answers.iter().map(|(portal, _)| portal).collect();
    let own: HashSet<&Portal> = answers.iter().filter(|(_, iqn)| *iqn == named.iqn).map(|(portal, _)| portal).collect();
    let one_name = all.len() == own.len();
    let mut targets = vec![named.clone()];
    for (portal, iqn) in &answers {
        let target = Target { portal: portal.clone(), iqn: iqn.clone(), lun: named.lun };
        if (!one_name || *iqn == named.iqn) && !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}
