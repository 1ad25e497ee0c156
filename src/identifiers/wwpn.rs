//! The name of a Fibre Channel port (FC-FS-3 clause 14): 64 bits, as sysfs has them (`0x50060160...`).

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wwpn(u64);

impl Wwpn {
    /// As sysfs and udev's by-path names spell it: `0x500601603ee00001`.
    pub fn prefixed(self) -> String {
        format!("0x{self}")
    }
}

impl FromStr for Wwpn {
    type Err = Error;

    /// Sixteen hexadecimal digits in either case, as arrays, sysfs (`0x`) and switches (colons) write them.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bare = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let in_pairs = || bare.split(':').count() == 8 && bare.split(':').all(|pair| pair.len() == 2);
        let digits = if bare.contains(':') && in_pairs() { bare.replace(':', "") } else { bare.to_owned() };
        let hexadecimal = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        // All zeros is what a port without a name shows.
        let number =
            if hexadecimal { u64::from_str_radix(&digits, 16).ok().filter(|number| *number != 0) } else { None };
        number.map(Wwpn).ok_or_else(|| Error::invalid("target_wwn", text, "a port's name is 16 hexadecimal digits"))
    }
}

/// Sixteen digits in lower case without `0x`, as Cinder has them.
impl fmt::Display for Wwpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
