//! The paths of a volume of which the properties name only one: what the portal says about its targets.

use std::collections::HashSet;

use log::{debug, info};

use crate::error::{Error, Result};
use crate::host::attribute;
use crate::host::programs::iscsiadm::{self, Setting, Value};
use crate::host::view::node_record;
use crate::identifiers::{Iqn, Portal};
use crate::log::ISCSI;
use crate::transports::portals;

use super::operation::Context;
use super::record;
use super::request::{Credentials, Target};

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
    // Only iSER has a transport of its own in discovery.
    let interface = if context.interface == "iser" { "iser" } else { "default" };
    let Some(credentials) = &context.request.discovery_credentials else {
        return iscsiadm::send_targets(host, &named.portal, interface);
    };
    let had_record = record_file(context, &named.portal).is_some();
    if !had_record {
        iscsiadm::new_discovery_record(host, &named.portal, interface)?;
    }
    let answers = store(context, &named.portal, interface, credentials)
        .and_then(|()| iscsiadm::discover_with_record(host, &named.portal, interface));
    if !had_record && let Err(error) = iscsiadm::delete_discovery_record(host, &named.portal, interface) {
        debug!(target: ISCSI, "the discovery record of {} stays: {}", named.portal, error.describe());
    }
    answers
}

/// `send_targets/IP,PORT/st_config`
fn record_file(context: &Context, portal: &Portal) -> Option<std::path::PathBuf> {
    node_record::HOMES.iter().find_map(|home| {
        let directory = std::path::Path::new(home).with_file_name("send_targets");
        let file = directory.join(format!("{},{}", portal.address(), portal.port())).join("st_config");
        attribute::is_file(&context.host.root.path(&file)).then_some(file)
    })
}

/// Writes the credentials into the discovery record, where no argument list shows them.
fn store(context: &Context, portal: &Portal, interface: &str, credentials: &Credentials) -> Result<()> {
    let names = [
        "discovery.sendtargets.auth.authmethod",
        "discovery.sendtargets.auth.username",
        "discovery.sendtargets.auth.password",
    ];
    let file = record_file(context, portal).filter(|_| context.host.runner.is_direct());
    if let Some(file) = file
        && let Some(text) = node_record::read(&context.host.root, &file)?
    {
        let values = [credentials.method.as_str(), &credentials.username, credentials.password.reveal()];
        let settings: Vec<(&str, &str)> = names.into_iter().zip(values).collect();
        return record::write(&context.host, &file, &node_record::with_settings(&text, &settings));
    }
    let settings = [
        Setting { name: names[0], value: Value::Plain(&credentials.method) },
        Setting { name: names[1], value: Value::Plain(&credentials.username) },
        Setting { name: names[2], value: Value::Secret(&credentials.password) },
    ];
    iscsiadm::update_discovery_record(&context.host, portal, interface, &settings)
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
