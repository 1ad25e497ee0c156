//! The connection properties of a Fibre Channel volume, read once and valid by construction.

use std::collections::BTreeMap;

use log::warn;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::identifiers::{AddressingMode, Lun, Wwpn};
use crate::log::FIBRE_CHANNEL;
use crate::transports::properties::{addressing_mode, expected_wwns, lun, renamed, shown, text};

/// A port of the array and the LUN it shows the volume at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    pub wwpn: Wwpn,
    pub lun: Lun,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "port {} LUN {}", self.wwpn, self.lun)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// In the order of the properties; never empty.
    pub targets: Vec<Target>,
    /// `initiator_target_map` or `initiator_target_lun_map`: which ports of this host reach which of the targets.
    /// Host ports that are not in it are not scanned.
    pub initiators: Option<BTreeMap<Wwpn, Vec<Target>>>,
    /// `enable_wildcard_scan`: whether channels and target numbers nobody knows may be scanned.
    pub wildcard_scan: bool,
    /// `wwn` and `scsi_wwn`: the identity the storage says the volume has, as far as it does.
    pub expected_wwns: Vec<String>,
    pub enforce_multipath: bool,
    /// `access_mode` is `ro`.
    pub read_only: bool,
    /// The properties an attachment record shows.
    pub asked: Map<String, Value>,
}

const SHOWN: [&str; 8] =
    ["target_wwn", "target_wwns", "target_lun", "target_luns", "volume_id", "wwn", "scsi_wwn", "encrypted"];

impl Request {
    pub fn read(properties: &Map<String, Value>) -> Result<Request> {
        let mode = addressing_mode(properties)?;
        let targets = targets(properties, mode)?;
        let initiators = match initiator_target_map(properties, &targets)? {
            Some(map) => Some(map),
            None => initiator_target_lun_map(properties, mode)?,
        };
        Ok(Request {
            targets,
            initiators,
            wildcard_scan: flag(properties, "enable_wildcard_scan", true)?,
            expected_wwns: expected_wwns(properties)?,
            enforce_multipath: matches!(properties.get("enforce_multipath"), Some(Value::Bool(true))),
            read_only: properties.get("access_mode").and_then(Value::as_str) == Some("ro"),
            asked: shown(properties, &SHOWN),
        })
    }

    /// What a port of this host is to reach; nothing when a map leaves it out.
    pub fn targets_of(&self, initiator: Wwpn) -> &[Target] {
        match &self.initiators {
            None => &self.targets,
            Some(map) => map.get(&initiator).map_or(&[], Vec::as_slice),
        }
    }

    /// The names the volume is locked by: every pair of port and LUN.
    pub fn lock_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.targets.iter().map(|target| format!("{} {}", target.wwpn, target.lun)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// A value that is there: None and an empty list say nothing.
fn given<'a>(properties: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    properties.get(key).filter(|value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()))
}

/// `target_wwns` or `target_wwn`, paired with `target_luns` or all with `target_lun`.
fn targets(properties: &Map<String, Value>, mode: AddressingMode) -> Result<Vec<Target>> {
    let ports = match (given(properties, "target_wwns"), given(properties, "target_wwn")) {
        (Some(value), _) => wwpns("target_wwns", value)?,
        (None, Some(value)) => wwpns("target_wwn", value)?,
        (None, None) => Vec::new(),
    };
    let numbers = match (given(properties, "target_luns"), given(properties, "target_lun")) {
        (Some(Value::Array(values)), _) => {
            values.iter().map(|value| lun("target_luns", value)).collect::<Result<Vec<u64>>>()?
        }
        (Some(other), _) => return Err(Error::invalid("target_luns", other, "a list is needed")),
        (None, Some(value)) => vec![lun("target_lun", value)?],
        (None, None) => vec![0],
    };
    let repeated = if numbers.len() == 1 { numbers.repeat(ports.len()) } else { numbers.clone() };
    if ports.is_empty() || repeated.len() != ports.len() {
        let ports: Vec<String> = ports.iter().map(Wwpn::to_string).collect();
        let reason = format!("a LUN for each port is needed, not luns: {numbers:?} and wwns: {ports:?}");
        return Err(Error::PathsNotFound { reason });
    }
    let pairs = ports.into_iter().zip(repeated);
    Ok(without_repeats(pairs.map(|(wwpn, number)| Target { wwpn, lun: Lun::addressed(number, mode) })))
}

fn without_repeats(targets: impl Iterator<Item = Target>) -> Vec<Target> {
    let mut seen = std::collections::HashSet::new();
    targets.filter(|target| seen.insert(*target)).collect()
}

/// One name or a list of them.
fn wwpns(key: &str, value: &Value) -> Result<Vec<Wwpn>> {
    let one = |value: &Value| wwpn(key, text(key, value)?);
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn wwpn(key: &str, text: &str) -> Result<Wwpn> {
    text.parse().map_err(|error| renamed(error, key))
}

/// A map from ports of this host; one that is empty says nothing.
fn map<'a>(properties: &'a Map<String, Value>, key: &str) -> Result<Option<&'a Map<String, Value>>> {
    match properties.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map).filter(|map| !map.is_empty())),
        Some(other) => Err(Error::invalid(key, other, "a dictionary is needed")),
    }
}

type Initiators = BTreeMap<Wwpn, Vec<Target>>;

/// The ports of the array by the ports of this host; the LUNs are those of the targets.
fn initiator_target_map(properties: &Map<String, Value>, targets: &[Target]) -> Result<Option<Initiators>> {
    const KEY: &str = "initiator_target_map";
    let Some(map) = map(properties, KEY)? else { return Ok(None) };
    let mut initiators = Initiators::new();
    for (initiator, ports) in map {
        let reached = initiators.entry(wwpn(KEY, initiator)?).or_default();
        for port in wwpns(KEY, ports)? {
            let of_port = targets.iter().filter(|target| target.wwpn == port);
            let before = reached.len();
            reached.extend(of_port);
            if reached.len() == before {
                warn!(target: FIBRE_CHANNEL, "{KEY} names port {port}, which is no target of the volume; left out");
            }
        }
    }
    Ok(Some(initiators))
}

/// The same with the LUN of each port beside it.
fn initiator_target_lun_map(properties: &Map<String, Value>, mode: AddressingMode) -> Result<Option<Initiators>> {
    const KEY: &str = "initiator_target_lun_map";
    let Some(map) = map(properties, KEY)? else { return Ok(None) };
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([port, number]) => {
            let number = lun(KEY, number)?;
            Ok(Target { wwpn: wwpn(KEY, text(KEY, port)?)?, lun: Lun::addressed(number, mode) })
        }
        _ => Err(Error::invalid(KEY, value, "a pair of port and LUN is needed")),
    };
    let mut initiators = Initiators::new();
    for (initiator, pairs) in map {
        let Value::Array(pairs) = pairs else {
            return Err(Error::invalid(KEY, pairs, "a list of pairs of port and LUN is needed"));
        };
        let reached = pairs.iter().map(pair).collect::<Result<Vec<_>>>()?;
        initiators.entry(wwpn(KEY, initiator)?).or_default().extend(reached);
    }
    Ok(Some(initiators))
}

fn flag(properties: &Map<String, Value>, key: &str, default: bool) -> Result<bool> {
    match properties.get(key) {
        None => Ok(default),
        // As upstream takes it: said, and not yes.
        Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(Error::invalid(key, other, "true or false is needed")),
    }
}
