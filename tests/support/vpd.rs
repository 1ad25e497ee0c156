//! VPD page 0x83, built as SPC-4 7.8.6 says and as targets send it.

/// One designation descriptor: code set (1 binary, 2 ASCII, 3 UTF-8), association, kind, value.
pub struct Designator<'a> {
    pub code_set: u8,
    pub association: u8,
    pub kind: u8,
    pub value: &'a [u8],
}

/// A page with its header and length.
pub fn page83(designators: &[Designator<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for designator in designators {
        let length = u8::try_from(designator.value.len()).expect("a designator is at most 255 bytes");
        body.extend([designator.code_set, (designator.association << 4) | designator.kind, 0, length]);
        body.extend(designator.value);
    }
    let length = u16::try_from(body.len()).expect("a page is at most 64 KiB");
    let mut page = vec![0x00, 0x83];
    page.extend(length.to_be_bytes());
    page.extend(body);
    page
}

/// What LIO (kernel: drivers/target/target_core_spc.c, 6.1) answers: NAA 6, T10 with the unit serial, then the
/// designators of port and group, and the target's name.
pub fn lio(naa: &[u8], serial: &str, iqn: &str) -> Vec<u8> {
    let t10 = [format!("LIO-ORG fileio:{serial}").as_bytes(), &[0]].concat();
    let name = [format!("{iqn},t,0x0001").as_bytes(), &[0, 0]].concat();
    page83(&[
        Designator { code_set: 1, association: 0, kind: 3, value: naa },
        Designator { code_set: 2, association: 0, kind: 1, value: &t10 },
        Designator { code_set: 1, association: 1, kind: 4, value: &[0, 0, 0, 1] },
        Designator { code_set: 1, association: 1, kind: 5, value: &[0, 0, 0, 1] },
        Designator { code_set: 1, association: 0, kind: 6, value: &[0, 0, 0, 0] },
        Designator { code_set: 3, association: 1, kind: 8, value: &name },
    ])
}

/// The bytes of a hexadecimal text.
pub fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("an identity is hexadecimal"))
        .collect()
}
