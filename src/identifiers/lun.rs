//! Logical unit numbers: as the array says them, as the kernel numbers them, as udev prints them.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// How an array codes a LUN (`addressing_mode` of the connection properties; SAM-2 and SAM-3, section 4.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressingMode {
    /// `SAM`, `transparent` or absent: the number is used as it is.
    #[default]
    Sam,
    /// `SAM2`: flat space addressing from LUN 256 on.
    Sam2,
    /// `SAM3-flat`: flat space addressing for every LUN.
    Sam3Flat,
}

impl FromStr for AddressingMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "SAM" | "transparent" => Ok(AddressingMode::Sam),
            "SAM2" => Ok(AddressingMode::Sam2),
            "SAM3-flat" => Ok(AddressingMode::Sam3Flat),
            _ => Err(Error::invalid(
                "addressing_mode",
                text,
                "Invalid addressing_mode, use one of transparent, SAM, SAM2, SAM3-flat",
            )),
        }
    }
}

/// The flat space method's code 01b in the two highest bits of the first two bytes.
const FLAT_SPACE: u64 = 0x4000;

/// A LUN as the kernel numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lun(u64);

impl Lun {
    /// The kernel's number for what the array calls `number`.
    pub fn addressed(number: u64, mode: AddressingMode) -> Lun {
        match mode {
            AddressingMode::Sam3Flat => Lun(number + FLAT_SPACE),
            AddressingMode::Sam2 if number >= 256 => Lun(number + FLAT_SPACE),
            _ => Lun(number),
        }
    }

    pub fn kernel(self) -> u64 {
        self.0
    }

    /// The LUN of a zfcp unit, whose numbers are given with the first two bytes of the address in front: beyond
    /// 16 bits `0x40100011` is the address `0x4010001100000000`.
    pub fn of_zfcp(self) -> Lun {
        if self.0 <= 0xffff { self } else { Lun(((self.0 & 0xffff) << 16) | ((self.0 >> 16) & 0xffff)) }
    }

    /// The 64-bit address of a LUN of up to 32 bits, as udev and zfcp print it.
    pub fn address(self) -> String {
        format!("0x{:04x}{:04x}00000000", self.0 & 0xffff, (self.0 >> 16) & 0xffff)
    }

    /// The form in `/dev/disk/by-path` names: decimal below 256, else the hexadecimal udev prints.
    pub fn by_path(self) -> String {
        if self.0 < 256 { self.0.to_string() } else { self.address() }
    }
}

impl fmt::Display for Lun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
