//! The connection properties of an NVMe-oF volume, read once and valid by construction.
//!
//! There are three formats: the old one (`nqn`, `target_portal`, `target_port`, `transport_type`), the new one
//! (`target_nqn`, `portals`), and `volume_replicas`, a list of the new ones to be mirrored.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::host::view::md;
use crate::host::view::nvme_namespace::Identity;
use crate::identifiers::{FabricPortal, Nqn, Uuid};
use crate::transports::properties::shown;

/// One namespace: its subsystem, the ways to it, and what it is known by.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub nqn: Nqn,
    /// In the order of the properties; never empty.
    pub portals: Vec<FabricPortal>,
    /// None in properties of drivers that give each volume a subsystem and say no more.
    pub identity: Option<Identity>,
    pub host_nqn: Option<Nqn>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.identity {
            Some(identity) => write!(f, "{} {identity}", self.nqn),
            None => write!(f, "{}", self.nqn),
        }
    }
}

/// How the targets make the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replicas {
    /// The one target is the volume.
    None,
    /// One replica: the volume, or the leg of a mirror that has lost its others.  What is on it decides.
    One,
    /// So many legs of a mirror.
    Mirror(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Never empty; one, unless there are replicas.
    pub targets: Vec<Target>,
    pub replicas: Replicas,
    /// The name of the mirror.
    pub alias: Option<String>,
    /// What the caller remembers the volume is used through.
    pub device_path: Option<PathBuf>,
    pub enforce_multipath: bool,
    /// The properties an attachment record shows.
    pub asked: Map<String, Value>,
}

const SHOWN: [&str; 13] = [
    "nqn",
    "target_nqn",
    "transport_type",
    "target_portal",
    "target_port",
    "portals",
    "ns_id",
    "volume_nguid",
    "vol_uuid",
    "host_nqn",
    "alias",
    "volume_replicas",
    "encrypted",
];

impl Request {
    pub fn read(properties: &Map<String, Value>) -> Result<Request> {
        let (targets, replicas) = match properties.get("volume_replicas") {
            Some(listed) => replicated(properties, listed)?,
            None => (vec![target(properties, "")?], Replicas::None),
        };
        let alias = alias(properties)?;
        if matches!(replicas, Replicas::Mirror(_)) && alias.is_none() {
            return Err(alias_missing());
        }
        Ok(Request {
            targets,
            replicas,
            alias,
            device_path: device_path(properties)?,
            enforce_multipath: matches!(properties.get("enforce_multipath"), Some(Value::Bool(true))),
            asked: shown(properties, &SHOWN),
        })
    }

    /// `/dev/md/ALIAS`
    pub fn array_path(&self) -> Result<PathBuf> {
        self.alias.as_ref().map(|alias| Path::new(md::NAMES).join(alias)).ok_or_else(alias_missing)
    }

    /// The names the volume is locked by: each namespace, and the mirror.
    pub fn lock_names(&self) -> Vec<String> {
        let namespaces = self.targets.iter().map(|target| format!("nvme {target}"));
        let array = self.alias.iter().filter(|_| self.replicas != Replicas::None).map(|alias| format!("md {alias}"));
        let mut names: Vec<String> = namespaces.chain(array).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn alias_missing() -> Error {
    Error::invalid("alias", Value::Null, "Alias missing in connection info")
}

fn replicated(properties: &Map<String, Value>, listed: &Value) -> Result<(Vec<Target>, Replicas)> {
    let invalid = || Error::invalid("volume_replicas", listed, "a list with at least one replica is needed");
    let replicas = listed.as_array().filter(|replicas| !replicas.is_empty()).ok_or_else(invalid)?;
    let targets = replicas.iter().enumerate().map(|(index, replica)| {
        let fields =
            replica.as_object().ok_or_else(|| Error::invalid("volume_replicas", replica, "not a dictionary"))?;
        target(fields, &format!("volume_replicas[{index}]."))
    });
    let targets = targets.collect::<Result<Vec<_>>>()?;
    if let Some(id) = text(properties, "", "vol_uuid")? {
        uuid("vol_uuid", &id)?;
    }
    let wanted = match number(properties, "", "replica_count")? {
        None | Some(0) => targets.len(),
        Some(count) => count as usize,
    };
    if wanted < targets.len() {
        let reason = format!("volume_replicas has {} entries", targets.len());
        return Err(Error::invalid("replica_count", wanted, reason));
    }
    Ok((targets, if wanted > 1 { Replicas::Mirror(wanted) } else { Replicas::One }))
}

/// A target in the new format or the old one; `place` goes before the names of its properties in errors.
fn target(fields: &Map<String, Value>, place: &str) -> Result<Target> {
    let is_old = place.is_empty() && !fields.contains_key("target_nqn");
    let (nqn, portals) = if is_old { ("nqn", old_portal(fields)?) } else { ("target_nqn", portals(fields, place)?) };
    let name = required_text(fields, place, nqn)?;
    let host_nqn = text(fields, place, "host_nqn")?;
    let host_nqn = host_nqn.map(|text| Nqn::read(&format!("{place}host_nqn"), &text)).transpose()?;
    Ok(Target {
        nqn: Nqn::read(&format!("{place}{nqn}"), &name)?,
        portals,
        identity: identity(fields, place, is_old)?,
        host_nqn,
    })
}

fn old_portal(fields: &Map<String, Value>) -> Result<Vec<FabricPortal>> {
    let address = required_text(fields, "", "target_portal")?;
    let port = fields.get("target_port").unwrap_or(&Value::Null);
    let transport = required_text(fields, "", "transport_type")?;
    Ok(vec![FabricPortal::read("target_portal", &address, &service("target_port", port, &address)?, &transport)?])
}

fn portals(fields: &Map<String, Value>, place: &str) -> Result<Vec<FabricPortal>> {
    let field = format!("{place}portals");
    let value = fields.get("portals").unwrap_or(&Value::Null);
    let listed = value.as_array().filter(|portals| !portals.is_empty());
    let listed = listed.ok_or_else(|| Error::invalid(&field, value, "a list with at least one portal is needed"))?;
    let mut portals: Vec<FabricPortal> = Vec::new();
    for entry in listed {
        let Some([address, port, transport]) = entry.as_array().map(Vec::as_slice) else {
            return Err(Error::invalid(&field, entry, "a portal is an address, a port and a transport"));
        };
        let Some(address) = address.as_str().filter(|address| !address.is_empty()) else {
            return Err(Error::invalid(&field, entry, "the address is not a string"));
        };
        let transport = match transport {
            Value::Null => "",
            Value::String(transport) => transport,
            _ => return Err(Error::invalid(&field, entry, "the transport is not a string")),
        };
        let portal = FabricPortal::read(&field, address, &service(&field, port, address)?, transport)?;
        if !portals.contains(&portal) {
            portals.push(portal);
        }
    }
    Ok(portals)
}

/// A port, as a number or its digits.  Fibre Channel has none: drivers leave it empty or write `none`.
fn service(field: &str, port: &Value, address: &str) -> Result<String> {
    match port {
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Null | Value::String(_) if address.to_ascii_lowercase().starts_with("nn-") => Ok(String::new()),
        other => Err(Error::invalid(field, other, "a port is a number from 1 to 65535")),
    }
}

/// Only the most trusted one decides.  `vol_uuid` beside an old format is Cinder's, not the namespace's.
fn identity(fields: &Map<String, Value>, place: &str, is_old: bool) -> Result<Option<Identity>> {
    let named = |key: &str| format!("{place}{key}");
    if !is_old && let Some(text) = text(fields, place, "vol_uuid")? {
        return Ok(Some(Identity::Uuid(uuid(&named("vol_uuid"), &text)?)));
    }
    if let Some(text) = text(fields, place, "volume_nguid")? {
        return Ok(Some(Identity::Nguid(uuid(&named("volume_nguid"), &text)?)));
    }
    match number(fields, place, "ns_id")? {
        None | Some(0) => Ok(None),
        Some(nsid) => Ok(Some(Identity::Nsid(nsid))),
    }
}

fn uuid(field: &str, text: &str) -> Result<Uuid> {
    text.parse().map_err(|_| Error::invalid(field, text, "32 hexadecimal digits are needed"))
}

/// It becomes a name below `/dev/md` and an argument of mdadm.
fn alias(properties: &Map<String, Value>) -> Result<Option<String>> {
    let Some(alias) = text(properties, "", "alias")? else { return Ok(None) };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+:@".contains(c);
    if alias.starts_with(['-', '.']) || alias.len() > 128 || !alias.chars().all(plain) {
        return Err(Error::invalid("alias", alias, "not a name an array can have"));
    }
    Ok(Some(alias))
}

fn device_path(properties: &Map<String, Value>) -> Result<Option<PathBuf>> {
    match text(properties, "", "device_path")? {
        Some(path) if !path.starts_with('/') => Err(Error::invalid("device_path", path, "not an absolute path")),
        path => Ok(path.map(PathBuf::from)),
    }
}

/// A text that is there and not empty.
fn text(fields: &Map<String, Value>, place: &str, key: &str) -> Result<Option<String>> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(Error::invalid(&format!("{place}{key}"), other, "a string is needed")),
    }
}

fn required_text(fields: &Map<String, Value>, place: &str, key: &str) -> Result<String> {
    let missing = || Error::invalid(&format!("{place}{key}"), Value::Null, "a string that is not empty is needed");
    text(fields, place, key)?.ok_or_else(missing)
}

/// A number of 32 bits, as such or as its digits.
fn number(fields: &Map<String, Value>, place: &str, key: &str) -> Result<Option<u32>> {
    let read = match fields.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        Some(_) => None,
    };
    let number = read.and_then(|number| u32::try_from(number).ok());
    let invalid = || Error::invalid(&format!("{place}{key}"), &fields[key], "a number from 0 to 4294967295 is needed");
    number.map(Some).ok_or_else(invalid)
}
