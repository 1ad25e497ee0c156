//! The identity of a disk, in the form udev and multipath use.

use std::fmt;

/// As `scsi_id` prints it: a digit for the kind of designator, then the designator: `36001405...`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wwid(String);

impl Wwid {
    /// From udev's form: a map's `dm/uuid` without `mpath-`, a by-id link without `scsi-`.
    pub fn from_udev(text: &str) -> Option<Wwid> {
        let text = text.trim();
        (!text.is_empty()).then(|| Wwid(text.to_owned()))
    }

    /// From `/sys/block/sdX/device/wwid`: `naa.6001405...`, `eui.0025...`, `t10.ATA     ...`.
    pub fn from_sysfs(text: &str) -> Option<Wwid> {
        let text = text.trim();
        let digit = match text.get(..4)? {
            "t10." => '1',
            "eui." => '2',
            "naa." => '3',
            _ => '8',
        };
        let rest = &text[4..];
        (!rest.is_empty()).then(|| Wwid(format!("{digit}{rest}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a caller's `wwn` names this disk: equal without regard to case, `0x`, and the leading kind digit.
    pub fn matches(&self, wwn: &str) -> bool {
        let wwn = wwn.trim().to_ascii_lowercase();
        let wwn = wwn.trim_start_matches("0x").trim_start_matches("naa.").trim_start_matches("eui.");
        let own = self.0.to_ascii_lowercase();
        own == wwn || own.get(1..) == Some(wwn)
    }
}

impl serde::Serialize for Wwid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Wwid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One designation descriptor of VPD page 0x83 (SPC-4 7.8.6).
struct Designator<'a> {
    kind: u8,
    association: u8,
    code_set: u8,
    value: &'a [u8],
}

impl Designator<'_> {
    /// Whether there is anything in it: padding alone is no identity.
    fn is_said(&self) -> bool {
        self.value.iter().any(|byte| self.code_set == 1 || !matches!(byte, 0 | b' '))
    }
}

/// The identity `scsi_id --page 0x83` (systemd `scsi_serial.c`, `id_search_list`) takes from the page: NAA before
/// EUI-64, registered extended NAA before registered NAA.  Text designators (T10, vendor) are None here, because
/// udev rewrites their blanks: the caller reads udev's own result for those.
pub fn scsi_id(page: &[u8]) -> Option<Wwid> {
    let all = designators(descriptors(page));
    let naa = |nibbles: Option<u8>| {
        all.iter()
            .find(|d| d.kind == 3 && d.association == 0 && d.is_said() && nibbles.is_none_or(|n| d.value[0] >> 4 == n))
    };
    if let Some(found) = naa(Some(6)).or_else(|| naa(Some(5))).or_else(|| naa(None)) {
        return Some(Wwid(format!("3{}", printed(found))));
    }
    all.iter()
        .find(|d| d.kind == 2 && d.association == 0 && d.is_said())
        .map(|found| Wwid(format!("2{}", printed(found))))
}

/// What VPD page 0x83 says about an identity that need not be the one `scsi_id` takes from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// One of its designators is this identity.
    Offered,
    /// It has designators of this kind, and they are others.
    Contradicted,
    /// It has nothing of this kind.
    Silent,
}

/// Looks for an identity among all designators of the unit; the digit before it is the designator's type.
pub fn naming(page: &[u8], wwid: &Wwid) -> Naming {
    let own = plain(wwid.as_str());
    let Some(kind) = own.chars().next().and_then(|digit| digit.to_digit(10)) else {
        return Naming::Silent;
    };
    let of_kind =
        designators(descriptors(page)).into_iter().filter(|d| d.association == 0 && u32::from(d.kind) == kind);
    let mut seen = Naming::Silent;
    for designator in of_kind {
        let value = printed(&designator);
        // Before a vendor's own designator (type 0) `scsi_id` puts vendor and model.
        let is_it = if kind == 0 { own.ends_with(&plain(&value)) } else { own == plain(&format!("{kind}{value}")) };
        if is_it && designator.is_said() {
            return Naming::Offered;
        }
        seen = Naming::Contradicted;
    }
    seen
}

/// As udev prints text: blanks as one underscore (`util_replace_whitespace`), and here in one case.
fn plain(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c == '_')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
        .to_ascii_lowercase()
}

/// The descriptors of a page 0x83; of another page none.
fn descriptors(page: &[u8]) -> &[u8] {
    if page.len() < 4 || page[1] != 0x83 {
        return &[];
    }
    let length = usize::from(u16::from_be_bytes([page[2], page[3]]));
    &page[4..page.len().min(4 + length)]
}

fn designators(mut rest: &[u8]) -> Vec<Designator<'_>> {
    let mut all = Vec::new();
    while rest.len() >= 4 {
        let length = usize::from(rest[3]);
        let Some(value) = rest.get(4..4 + length) else {
            break;
        };
        all.push(Designator {
            kind: rest[1] & 0x0f,
            association: (rest[1] >> 4) & 0x03,
            code_set: rest[0] & 0x0f,
            value,
        });
        rest = &rest[4 + length..];
    }
    all
}

fn printed(designator: &Designator<'_>) -> String {
    if designator.code_set == 1 {
        // Without the machinery of `format!`: an inventory prints those of every disk.
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        designator.value.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
    } else {
        String::from_utf8_lossy(designator.value).trim_end_matches(['\0', ' ']).to_owned()
    }
}
