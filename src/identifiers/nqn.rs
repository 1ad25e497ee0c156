//! An NVMe qualified name (NVM Express Base Specification 2.0, section 4.5).

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The longest name the specification allows.
const LONGEST: usize = 223;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nqn(String);

impl Nqn {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The UUID in `nqn.2014-08.org.nvmexpress:uuid:UUID`, the name of a host.
    pub fn uuid(&self) -> Option<super::Uuid> {
        self.0.rsplit_once("uuid:").and_then(|(_, uuid)| uuid.parse().ok())
    }

    /// As `parse`, with the name of the property in the error.
    pub fn read(field: &str, text: &str) -> Result<Nqn, Error> {
        text.parse().map_err(|error| match error {
            Error::InvalidRequest { value, reason, .. } => {
                Error::InvalidRequest { field: field.to_owned(), value, reason }
            }
            other => other,
        })
    }
}

impl FromStr for Nqn {
    type Err = Error;

    /// The name becomes an argument of `nvme` and an option of the kernel, whose options end at a comma, so only
    /// those letters are let through that subsystems in the field use.
    fn from_str(text: &str) -> Result<Self, Error> {
        if !text.starts_with("nqn.") || text.len() == 4 {
            return Err(Error::invalid("target_nqn", text, "an NVMe qualified name starts with nqn."));
        }
        if text.len() > LONGEST {
            return Err(Error::invalid("target_nqn", text, "longer than 223 bytes"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-:_+=@%".contains(c);
        match text.chars().find(|c| !allowed(*c)) {
            Some(c) => {
                Err(Error::invalid("target_nqn", text, format!("{c:?} is not allowed in an NVMe qualified name")))
            }
            None => Ok(Nqn(text.to_owned())),
        }
    }
}

impl fmt::Display for Nqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
