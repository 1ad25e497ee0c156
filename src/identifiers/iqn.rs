//! An iSCSI name (RFC 7143 section 4.2.7): `iqn.`, `eui.` or `naa.` and what follows.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The longest name RFC 7143 allows.
const LONGEST: usize = 223;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iqn(String);

impl Iqn {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Iqn {
    type Err = Error;

    /// The name becomes an argument of iscsiadm and a directory of its database, so beyond the RFC's letters only
    /// those are let through that targets in the field use.
    fn from_str(text: &str) -> Result<Self, Error> {
        let known = ["iqn.", "eui.", "naa."]
            .iter()
            .any(|p| text.len() > 4 && text.is_char_boundary(4) && text[..4].eq_ignore_ascii_case(p));
        if !known {
            return Err(Error::invalid("target_iqn", text, "an iSCSI name starts with iqn., eui. or naa."));
        }
        if text.len() > LONGEST {
            return Err(Error::invalid("target_iqn", text, "longer than 223 characters"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-:_+=@%".contains(c);
        match text.chars().find(|c| !allowed(*c)) {
            Some(c) => Err(Error::invalid("target_iqn", text, format!("{c:?} is not allowed in an iSCSI name"))),
            None => Ok(Iqn(text.to_owned())),
        }
    }
}

impl fmt::Display for Iqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
