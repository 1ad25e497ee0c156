//! Where an NVMe subsystem is reached: transport, address and service.

use std::fmt;

use super::Portal;
use crate::error::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fabric {
    Tcp,
    Rdma,
    /// Fibre Channel: the address is a pair of names, there is no service.
    Fc,
}

impl Fabric {
    /// As the kernel and `nvme` name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Fabric::Tcp => "tcp",
            Fabric::Rdma => "rdma",
            Fabric::Fc => "fc",
        }
    }
}

/// Two portals are equal when they name the same place, in whatever notation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FabricPortal {
    fabric: Fabric,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Ip(Portal),
    /// `nn-0x...:pn-0x...`, lower case.
    Names(String),
}

impl FabricPortal {
    /// From the three parts of a property.  Storage names the transport in many ways: `rdma` and `RoCEv2` are RDMA, an
    /// address of port names is Fibre Channel, everything else is TCP.
    pub fn read(field: &str, address: &str, port: &str, transport: &str) -> Result<FabricPortal, Error> {
        if let Some(names) = port_names(address) {
            return Ok(FabricPortal { fabric: Fabric::Fc, place: Place::Names(names) });
        }
        let fabric = if matches!(transport, "rdma" | "RoCEv2") { Fabric::Rdma } else { Fabric::Tcp };
        let number: Option<u16> = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten();
        if number.is_none_or(|number| number == 0) {
            return Err(Error::invalid(field, port, "a port is a number from 1 to 65535"));
        }
        // The one spelling of an IP address, so that the kernel sees a second connection for what it is.
        let plain = address.trim_start_matches('[').trim_end_matches(']');
        let spelled = plain.parse::<std::net::IpAddr>().map_or_else(|_| plain.to_owned(), |ip| ip.to_string());
        let portal = Portal::from_parts(&spelled, port)
            .ok_or_else(|| Error::invalid(field, address, "not an IP address or host name"))?;
        Ok(FabricPortal { fabric, place: Place::Ip(portal) })
    }

    /// From `/sys/class/nvme-fabrics/ctl/nvmeN/{transport,address}`: `traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.9`.
    pub fn of_kernel(transport: &str, address: &str) -> Option<FabricPortal> {
        let part = |key: &str| address.split(',').find_map(|part| part.trim().strip_prefix(key)?.strip_prefix('='));
        let traddr = part("traddr")?;
        match transport {
            "fc" => Some(FabricPortal { fabric: Fabric::Fc, place: Place::Names(port_names(traddr)?) }),
            "tcp" | "rdma" => {
                let fabric = if transport == "tcp" { Fabric::Tcp } else { Fabric::Rdma };
                // Left out when it is the port IANA gives NVMe-oF.
                let portal = Portal::from_parts(traddr, part("trsvcid").unwrap_or("4420"))?;
                Some(FabricPortal { fabric, place: Place::Ip(portal) })
            }
            _ => None,
        }
    }

    pub fn fabric(&self) -> Fabric {
        self.fabric
    }

    /// `10.0.0.1`, `fd00::1`, `nn-0x...:pn-0x...`
    pub fn traddr(&self) -> String {
        match &self.place {
            Place::Ip(portal) => portal.address(),
            Place::Names(names) => names.clone(),
        }
    }

    /// The service, which Fibre Channel does not have.
    pub fn trsvcid(&self) -> Option<String> {
        self.ip().map(|portal| portal.port().to_string())
    }

    /// Address and port, except on Fibre Channel.
    pub fn ip(&self) -> Option<&Portal> {
        match &self.place {
            Place::Ip(portal) => Some(portal),
            Place::Names(_) => None,
        }
    }

    /// The same for every spelling of the same place: the key of locks.
    pub fn key(&self) -> String {
        match &self.place {
            Place::Ip(portal) => format!("{} {}", self.fabric.as_str(), portal.key()),
            Place::Names(names) => format!("fc {names}"),
        }
    }
}

/// `nn-0x200...:pn-0x210...` in lower case, or None for an address of another kind.
fn port_names(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (node, port) = text.split_once(':')?;
    let name = |text: &str, prefix: &str| {
        text.strip_prefix(prefix).is_some_and(|hex| hex.len() == 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    (name(node, "nn-0x") && name(port, "pn-0x")).then_some(text)
}

impl fmt::Display for FabricPortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Ip(portal) => write!(f, "{} {portal}", self.fabric.as_str()),
            Place::Names(names) => write!(f, "fc {names}"),
        }
    }
}
