//! The connection properties of an iSCSI volume, read once and valid by construction.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::identifiers::{AddressingMode, Iqn, Lun, Portal, Secret};
use crate::transports::properties::{addressing_mode, expected_wwns, list, lun, optional_text, renamed, shown, text};

/// One path of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    pub portal: Portal,
    pub iqn: Iqn,
    pub lun: Lun,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} LUN {}", self.portal, self.iqn, self.lun)
    }
}

/// CHAP, as `auth_method`, `auth_username`, `auth_password` or their `discovery_` twins say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub method: String,
    pub username: String,
    pub password: Secret,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The paths in the order of the properties; never empty.
    pub targets: Vec<Target>,
    /// What `target_portal`, `target_iqn` and `target_lun` name, when they are there: the path that decides which
    /// volume is meant.
    pub named: Option<Target>,
    /// Whether the plural properties list all paths.  If not, the others are found by discovery.
    pub lists_all_paths: bool,
    pub credentials: Option<Credentials>,
    pub discovery_credentials: Option<Credentials>,
    /// `wwn` and `scsi_wwn`: the identity the storage says the volume has, as far as it does.
    pub expected_wwns: Vec<String>,
    pub enforce_multipath: bool,
    /// The properties an attachment record shows.
    pub asked: Map<String, Value>,
}

/// No user, password or method of authentication is among them.
const SHOWN: [&str; 10] = [
    "target_portal",
    "target_portals",
    "target_iqn",
    "target_iqns",
    "target_lun",
    "target_luns",
    "volume_id",
    "wwn",
    "scsi_wwn",
    "encrypted",
];

impl Request {
    pub fn read(properties: &Map<String, Value>) -> Result<Request> {
        let mode = addressing_mode(properties)?;
        let named = named_target(properties, mode)?;
        let listed = listed_targets(properties, mode)?;
        let lists_all_paths = listed.is_some();
        let targets = match (listed, &named) {
            (Some(listed), _) => listed,
            (None, Some(named)) => vec![named.clone()],
            (None, None) => return Err(missing(properties)),
        };
        Ok(Request {
            targets: without_repeats(targets),
            named,
            lists_all_paths,
            credentials: credentials(properties, "")?,
            discovery_credentials: credentials(properties, "discovery_")?,
            expected_wwns: expected_wwns(properties)?,
            enforce_multipath: matches!(properties.get("enforce_multipath"), Some(Value::Bool(true))),
            asked: shown(properties, &SHOWN),
        })
    }

    /// The names the volume is locked by: every pair of target and LUN.
    pub fn lock_names(&self) -> Vec<String> {
        let named = self.named.iter();
        let mut names: Vec<String> =
            self.targets.iter().chain(named).map(|target| format!("{} {}", target.iqn, target.lun)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn missing(properties: &Map<String, Value>) -> Error {
    let absent = |key: &str| properties.get(key).is_none_or(Value::is_null);
    let field = match (absent("target_portals"), absent("target_iqns")) {
        (false, true) => "target_iqns",
        (true, false) => "target_portals",
        _ if absent("target_portal") => "target_portal",
        _ => "target_iqn",
    };
    Error::invalid(field, Value::Null, "the connection properties of an iSCSI volume need it")
}

fn without_repeats(targets: Vec<Target>) -> Vec<Target> {
    let mut seen = std::collections::HashSet::new();
    targets.into_iter().filter(|target| seen.insert(target.clone())).collect()
}

fn named_target(properties: &Map<String, Value>, mode: AddressingMode) -> Result<Option<Target>> {
    let (portal, iqn) = (optional_text(properties, "target_portal")?, optional_text(properties, "target_iqn")?);
    let (Some(portal), Some(iqn)) = (portal, iqn) else {
        return Ok(None);
    };
    let lun = match properties.get("target_lun") {
        None => 0,
        // The lists say which volume it is.
        Some(Value::Null) if properties.get("target_luns").is_some_and(Value::is_array) => return Ok(None),
        Some(value) => lun("target_lun", value)?,
    };
    Ok(Some(Target { portal: portal.parse()?, iqn: iqn.parse()?, lun: Lun::addressed(lun, mode) }))
}

fn listed_targets(properties: &Map<String, Value>, mode: AddressingMode) -> Result<Option<Vec<Target>>> {
    let (portals, iqns) = (list(properties, "target_portals")?, list(properties, "target_iqns")?);
    let (Some(portals), Some(iqns)) = (portals, iqns) else {
        return Ok(None);
    };
    if portals.len() != iqns.len() {
        let reason = format!("{} portals but {} names", portals.len(), iqns.len());
        return Err(Error::invalid("target_iqns", iqns, reason));
    }
    let luns = match list(properties, "target_luns")? {
        Some(luns) if luns.len() == portals.len() => luns.to_vec(),
        Some(luns) => {
            let reason = format!("{} portals but {} LUNs", portals.len(), luns.len());
            return Err(Error::invalid("target_luns", luns, reason));
        }
        None => vec![properties.get("target_lun").cloned().unwrap_or(Value::Null); portals.len()],
    };
    let targets = portals.iter().zip(iqns).zip(&luns).map(|((portal, iqn), number)| {
        Ok(Target {
            portal: text("target_portals", portal)?.parse().map_err(|e| renamed(e, "target_portals"))?,
            iqn: text("target_iqns", iqn)?.parse().map_err(|e| renamed(e, "target_iqns"))?,
            lun: Lun::addressed(lun("target_luns", number)?, mode),
        })
    });
    targets.collect::<Result<Vec<_>>>().map(Some)
}

fn credentials(properties: &Map<String, Value>, prefix: &str) -> Result<Option<Credentials>> {
    let key = |name: &str| format!("{prefix}auth_{name}");
    let method = match properties.get(&key("method")) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(method)) if method.is_empty() => return Ok(None),
        Some(value) => text(&key("method"), value)?.to_owned(),
    };
    if !method.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        return Err(Error::invalid(&key("method"), method, "not an authentication method such as CHAP"));
    }
    let username = storable(&key("username"), properties.get(&key("username")), false)?;
    let password = storable(&key("password"), properties.get(&key("password")), true)?;
    Ok(Some(Credentials { method, username, password: Secret::new(password) }))
}

/// A value open-iscsi can keep in a record: one line, no blanks at its ends.  The value of a secret is never shown.
fn storable(key: &str, value: Option<&Value>, secret: bool) -> Result<String> {
    let shown = |value: Option<&Value>| match value {
        Some(value) if secret && !value.is_null() => Value::String("***".to_owned()),
        Some(value) => value.clone(),
        None => Value::Null,
    };
    match value {
        Some(Value::String(text)) if !text.is_empty() => {
            if text.chars().any(char::is_control) || text.trim() != text || text.len() > 255 {
                let reason = "open-iscsi stores no control characters, no blanks at the ends and 255 bytes at most";
                return Err(Error::invalid(key, shown(value), reason));
            }
            Ok(text.clone())
        }
        other => Err(Error::invalid(key, shown(other), "a string that is not empty is needed for authentication")),
    }
}
