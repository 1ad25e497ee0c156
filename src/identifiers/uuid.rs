//! Sixteen bytes that name a namespace: its UUID or its NGUID, which the kernel prints alike.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    pub fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    /// Its digits alone, as in the kernel's `wwid`.
    pub fn digits(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// What a namespace without this identity shows.
    pub fn is_nil(self) -> bool {
        self.0 == [0; 16]
    }
}

impl FromStr for Uuid {
    type Err = Error;

    /// With or without hyphens, braces and `urn:uuid:`, in any case: drivers write it in all these ways.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::invalid("uuid", text, "32 hexadecimal digits are needed");
        let plain = text.trim().to_ascii_lowercase();
        let plain = plain.strip_prefix("urn:").unwrap_or(&plain);
        let plain = plain.strip_prefix("uuid:").unwrap_or(plain);
        let digits: String = plain.trim_matches(['{', '}']).chars().filter(|c| *c != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let number = u128::from_str_radix(&digits, 16).map_err(|_| bad())?;
        Ok(Uuid(number.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    /// Lower case with hyphens, as sysfs has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
