//! A target portal: address and TCP port.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::Error;

/// The port IANA gives iSCSI targets.
const DEFAULT_PORT: u16 = 3260;

/// Two portals are equal when they name the same address and port, in whatever case or notation.
#[derive(Debug, Clone)]
pub struct Portal {
    address: Address,
    /// The address without brackets.  From properties: the one canonical spelling of an IP address, so that nobody
    /// gets a second session with the same portal; from sysfs and records: as it is there, because iscsiadm finds
    /// its sessions and records by spelling.
    spelled: String,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Address {
    Ip(IpAddr),
    /// A host name, or an address with a zone such as `fe80::1%eth0`; lower case.
    Name(String),
}

impl Portal {
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address alone, without brackets: `10.0.0.1`, `fd00::1`.
    pub fn address(&self) -> String {
        self.spelled.clone()
    }

    /// The IP address, when the portal is not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.address {
            Address::Ip(ip) => Some(ip),
            Address::Name(_) => None,
        }
    }

    /// The same for every spelling of the same portal: the key of locks and of what is remembered.
    pub fn key(&self) -> String {
        match &self.address {
            Address::Ip(ip) => format!("{ip},{}", self.port),
            Address::Name(name) => format!("{name},{}", self.port),
        }
    }

    /// From the two attributes the kernel keeps apart.
    pub fn from_parts(address: &str, port: &str) -> Option<Portal> {
        Portal::spelled(address, port.parse().ok()?)
    }

    fn spelled(address: &str, port: u16) -> Option<Portal> {
        Some(Portal { address: parse_address(address)?, spelled: unbracketed(address).to_owned(), port })
    }
}

fn unbracketed(text: &str) -> &str {
    text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text)
}

fn parse_address(text: &str) -> Option<Address> {
    let text = unbracketed(text);
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(Address::Ip(ip));
    }
    let (host, zone) = text.split_once('%').map_or((text, None), |(h, z)| (h, Some(z)));
    let word = |t: &str| {
        !t.is_empty()
            && !t.starts_with('-')
            && t.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    let plausible = match zone {
        Some(zone) => host.parse::<std::net::Ipv6Addr>().is_ok() && word(zone),
        None => word(host) && host.len() <= 253,
    };
    plausible.then(|| Address::Name(text.to_ascii_lowercase()))
}

impl FromStr for Portal {
    type Err = Error;

    /// `10.0.0.1:3260`, `[fd00::1]:3260`, `fd00::1:3260`, each with an optional `,tpgt`; the port may be left out of
    /// the forms where that is unambiguous.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |reason: &str| Error::invalid("target_portal", text, reason);
        let plain = text.split_once(',').map_or(text, |(portal, _tpgt)| portal);
        let (address, port) = if plain.ends_with(']') {
            (plain, None)
        } else {
            match plain.rsplit_once(':') {
                Some((address, port)) => (address, Some(port)),
                None => (plain, None),
            }
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) if digits.chars().all(|c| c.is_ascii_digit()) => {
                digits.parse().ok().filter(|p| *p != 0).ok_or_else(|| bad("the port is not in 1 to 65535"))?
            }
            Some(_) => return Err(bad("the port is not a number")),
        };
        let canonical = match parse_address(address) {
            Some(Address::Ip(ip)) => ip.to_string(),
            _ => address.to_owned(),
        };
        Portal::spelled(&canonical, port).ok_or_else(|| bad("not an IP address or host name with a port"))
    }
}

impl fmt::Display for Portal {
    /// As iscsiadm takes it: brackets around IPv6.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address();
        if address.contains(':') {
            write!(f, "[{address}]:{}", self.port)
        } else {
            write!(f, "{address}:{}", self.port)
        }
    }
}

impl PartialEq for Portal {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address && self.port == other.port
    }
}

impl Eq for Portal {}

impl Hash for Portal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
        self.port.hash(state);
    }
}
