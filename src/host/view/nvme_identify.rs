//! What Identify commands answer (NVM Express Base Specification 2.0, 5.17.2; NVM Command Set 1.0, 4.1.5).

use crate::identifiers::Uuid;

/// CNS of the identification descriptors of a namespace.
pub const DESCRIPTORS: u8 = 0x03;
/// CNS of the numbers of the active namespaces above a number, in order.
pub const ACTIVE: u8 = 0x02;
/// CNS of a namespace's sizes and formats.
pub const NAMESPACE: u8 = 0x00;

const NGUID: u8 = 2;
const UUID: u8 = 3;

/// The NGUID and UUID among the descriptors: a type, a length, two bytes reserved, the identity; a type of 0 ends them.
pub fn identities(answer: &[u8]) -> Vec<Uuid> {
    let mut found = Vec::new();
    let mut rest = answer;
    while let [kind, length, _, _, tail @ ..] = rest {
        let length = usize::from(*length);
        if *kind == 0 || length == 0 || tail.len() < length {
            break;
        }
        if let (NGUID | UUID, Ok(bytes)) = (*kind, tail[..length].try_into()) {
            found.push(Uuid::from_bytes(bytes));
        }
        rest = &tail[length..];
    }
    found
}

/// The lowest number on a list of active namespaces; 0 ends the list.
pub fn lowest(answer: &[u8]) -> Option<u32> {
    let number = u32::from_le_bytes(answer.get(..4)?.try_into().ok()?);
    (number != 0).then_some(number)
}

/// NGUID of a namespace, bytes 104 to 119; controllers before NVMe 1.3 have no descriptors.
pub fn nguid(answer: &[u8]) -> Option<Uuid> {
    let bytes: [u8; 16] = answer.get(104..120)?.try_into().ok()?;
    Some(Uuid::from_bytes(bytes)).filter(|nguid| !nguid.is_nil())
}

/// The size in bytes: NSZE blocks of the format FLBAS says is in use.
pub fn size(answer: &[u8]) -> Option<u64> {
    let blocks = u64::from_le_bytes(answer.get(..8)?.try_into().ok()?);
    let formats = usize::from(*answer.get(25)?) + 1;
    let flbas = *answer.get(26)?;
    // The upper two bits of the index count only when there are more than 16 formats.
    let index = if formats > 16 { flbas & 0x0f | (flbas >> 5 & 0x03) << 4 } else { flbas & 0x0f };
    let shift = *answer.get(128 + 4 * usize::from(index) + 2)?;
    (9..=31).contains(&shift).then(|| blocks.checked_mul(1 << shift)).flatten()
}
