//! Properties of everything that takes text: 10,000 inputs each (`PROPTEST_CASES` for more or fewer).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};

use os_brick_engine::host::programs::iscsiadm::{parse_interface_transport, parse_send_targets};
use os_brick_engine::host::programs::multipathd::{parse_default, parse_paths};
use os_brick_engine::host::view::node_record::{setting, with_settings};
use os_brick_engine::identifiers::{AddressingMode, DeviceName, Hctl, Iqn, Lun, Naming, Portal, Wwid, naming, scsi_id};
use proptest::prelude::*;

use crate::support::vpd::{Designator, page83};

pub fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(10_000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// What a shell, a path or an argument list would take for something else.
pub fn is_harmless(text: &str) -> bool {
    !text.starts_with('-')
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "/\\;&|<>$`'\"(){}*?!#~".contains(c))
}

/// Text of all kinds, also such that nearly is what is wanted.
pub fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => any::<String>(),
        2 => "[ -~]{0,40}",
        1 => "iqn\\.[ -~]{0,30}",
        1 => "[0-9.:,\\[\\]a-fA-F%]{0,40}",
        1 => "(sd|dm-|nvme)[ -~]{0,8}",
        1 => "(naa|eui|t10|uui)\\.[ -~]{0,20}",
    ]
}

/// Lines of words, as programs print.
fn any_output() -> impl Strategy<Value = String> {
    let word = prop_oneof!["[!-~]{1,12}", Just("=".to_owned()), Just("ok".to_owned()), "\\PC{1,6}"];
    let line = proptest::collection::vec(word, 0..6).prop_map(|words| words.join(" "));
    proptest::collection::vec(line, 0..5).prop_map(|lines| lines.join("\n"))
}

fn hash(portal: &Portal) -> u64 {
    let mut hasher = DefaultHasher::new();
    portal.hash(&mut hasher);
    hasher.finish()
}

/// The spellings of an IPv6 address: short, long, upper case, with and without brackets.
fn spellings(address: Ipv6Addr, port: u16) -> Vec<String> {
    let long = address.segments().map(|part| format!("{part:04x}")).join(":");
    let short = address.to_string();
    [short.clone(), short.to_uppercase(), long.clone(), long.to_uppercase()]
        .iter()
        .flat_map(|one| [format!("[{one}]:{port}"), format!("{one}:{port}"), format!("[{one}]:{port},1")])
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_iqn_that_is_taken_is_harmless_and_prints_as_it_was(text in any_text()) {
        if let Ok(iqn) = text.parse::<Iqn>() {
            prop_assert_eq!(iqn.to_string(), text.clone());
            prop_assert!(is_harmless(&text), "{}", text);
        }
    }

    #[test]
    fn the_iqns_of_the_field_are_taken(text in "(iqn\\.[0-9]{4}-[0-9]{2}\\.[a-z.]{1,20}:[a-zA-Z0-9.:_-]{1,60}|eui\\.[0-9A-F]{16}|naa\\.[0-9a-f]{16,32})") {
        prop_assert_eq!(text.parse::<Iqn>().map(|iqn| iqn.to_string()), Ok(text));
    }

    #[test]
    fn a_portal_that_is_taken_is_harmless_and_prints_itself(text in any_text()) {
        if let Ok(portal) = text.parse::<Portal>() {
            let printed = portal.to_string();
            prop_assert!(is_harmless(&printed), "{}", printed);
            let again = printed.parse::<Portal>();
            prop_assert_eq!(again.as_ref().map(ToString::to_string), Ok(printed));
            prop_assert_eq!(again, Ok(portal));
        }
    }

    #[test]
    fn a_portal_of_four_bytes_prints_as_it_was(address in any::<[u8; 4]>(), port in 1_u16..) {
        let text = format!("{}:{port}", Ipv4Addr::from(address));
        prop_assert_eq!(text.parse::<Portal>().map(|portal| portal.to_string()), Ok(text));
    }

    /// IC-11
    #[test]
    fn ic_11_every_spelling_is_the_same_portal(address in any::<[u8; 16]>(), port in 1_u16..) {
        let spelled = spellings(Ipv6Addr::from(address), port);
        let first: Portal = spelled[0].parse().expect("the usual spelling");
        for other in &spelled {
            let portal: Portal = other.parse().expect("a spelling of an address");
            prop_assert_eq!(&portal, &first);
            prop_assert_eq!(portal.key(), first.key());
            prop_assert_eq!(portal.to_string(), first.to_string());
            prop_assert_eq!(hash(&portal), hash(&first));
            let of_kernel = Portal::from_parts(other.trim_end_matches(",1").rsplit_once(':').expect("a port").0, &port.to_string());
            prop_assert_eq!(of_kernel.as_ref(), Some(&first));
        }
    }

    /// LU-01, LU-04
    #[test]
    fn lu_01_the_name_of_a_lun_can_be_read_back(number in any::<u32>(), mode in 0..3) {
        let mode = [AddressingMode::Sam, AddressingMode::Sam2, AddressingMode::Sam3Flat][mode as usize];
        let lun = Lun::addressed(u64::from(number), mode);
        let name = lun.by_path();
        let read = match name.strip_prefix("0x") {
            None => name.parse::<u64>().expect("decimal"),
            Some(hex) => {
                prop_assert_eq!(hex.len(), 16);
                let all = u64::from_str_radix(hex, 16).expect("hexadecimal");
                (all >> 48) | ((all >> 32 & 0xffff) << 16)
            }
        };
        prop_assert_eq!(read, lun.kernel() & 0xffff_ffff);
        prop_assert_eq!(name.starts_with("0x"), lun.kernel() >= 256);
    }

    #[test]
    fn an_hctl_prints_as_it_was(host in any::<u32>(), channel in any::<u32>(), target in any::<u32>(), lun in any::<u64>()) {
        let text = format!("{host}:{channel}:{target}:{lun}");
        prop_assert_eq!(text.parse::<Hctl>().map(|hctl| hctl.to_string()), Ok(text));
    }

    #[test]
    fn an_hctl_takes_four_numbers_alone(text in prop_oneof![any_text(), "[0-9:+-]{0,12}"]) {
        if let Ok(hctl) = text.parse::<Hctl>() {
            prop_assert_eq!(text.split(':').count(), 4);
            prop_assert_eq!(hctl.to_string().parse::<Hctl>(), Ok(hctl));
        }
    }

    #[test]
    fn a_device_name_stays_in_its_directory(text in any_text()) {
        if let Ok(name) = text.parse::<DeviceName>() {
            prop_assert_eq!(name.as_str(), text.as_str());
            let path = name.dev_path();
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("/dev")));
            prop_assert!(!text.contains(char::is_whitespace) && !text.starts_with('-'));
        }
    }

    /// SC-03
    #[test]
    fn sc_03_the_kernels_wwid_becomes_udevs(text in any_text()) {
        if let Some(wwid) = Wwid::from_sysfs(&text) {
            let trimmed = text.trim();
            let kind = match &trimmed[..4] { "t10." => '1', "eui." => '2', "naa." => '3', _ => '8' };
            let expected = format!("{kind}{}", &trimmed[4..]);
            prop_assert_eq!(wwid.as_str(), expected.as_str());
            prop_assert!(wwid.matches(&expected.to_uppercase()) || !expected.is_ascii());
        }
    }

    #[test]
    fn no_page_is_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300), length in any::<u16>()) {
        let mut page = vec![0, 0x83];
        page.extend(length.to_be_bytes());
        page.extend(&bytes);
        for page in [&bytes, &page] {
            if let Some(wwid) = scsi_id(page) {
                prop_assert!(wwid.as_str().starts_with(['2', '3']));
                prop_assert_eq!(naming(page, &wwid), Naming::Offered);
            }
        }
    }

    /// SC-04: in whatever order and company.
    #[test]
    fn sc_04_the_extended_naa_of_the_unit_is_the_identity(
        naa in any::<[u8; 15]>(),
        others in proptest::collection::vec((1_u8..4, 0_u8..3, prop_oneof![0_u8..3, 4_u8..16], proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        position in 0_usize..7,
    ) {
        let value = [&[0x60 | (naa[0] & 0x0f)], &naa[..]].concat();
        let mut all: Vec<Designator<'_>> = others
            .iter()
            .map(|(code_set, association, kind, value)| Designator { code_set: *code_set, association: *association, kind: *kind, value })
            .collect();
        all.insert(position.min(all.len()), Designator { code_set: 1, association: 0, kind: 3, value: &value });
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(scsi_id(&page83(&all)).map(|wwid| wwid.to_string()), Some(format!("3{hex}")));
    }

    #[test]
    fn no_identity_is_too_strange_for_a_page(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        identity in prop_oneof![any_text(), "[0-9S][ -~]{0,20}"],
    ) {
        let length = u16::try_from(bytes.len()).expect("it is short");
        let page = [&[0, 0x83][..], &length.to_be_bytes(), &bytes].concat();
        if let Some(wwid) = Wwid::from_udev(&identity) {
            let known = naming(&page, &wwid);
            prop_assert!(known == Naming::Silent || identity.trim().starts_with(|c: char| c.is_ascii_digit() || c == '_'));
        }
    }

    #[test]
    fn a_setting_that_was_written_is_read(
        text in prop_oneof![any_output(), "((a|b|c|d)( = |=)[a-z =#]{0,6}\n|# [A-Z ]{0,10}\n){0,8}"],
        values in proptest::collection::btree_map("(a|b|c|node\\.session\\.scan)", "[!-~]{1,20}", 0..4),
    ) {
        let settings: Vec<(&str, &str)> = values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let changed = with_settings(&text, &settings);
        for (key, value) in &settings {
            prop_assert_eq!(setting(&changed, key), Some(*value));
        }
        prop_assert_eq!(with_settings(&changed, &settings), changed.clone());
        let others = |text: &str| -> Vec<String> {
            text.lines()
                .filter(|line| line.split_once('=').is_none_or(|(name, _)| !values.contains_key(name.trim())))
                .map(ToOwned::to_owned)
                .collect()
        };
        // An empty file gets its one line end.
        prop_assert!(text.is_empty() || others(&changed) == others(&text), "{:?}", changed);
    }

    #[test]
    fn targets_are_read_as_they_were_printed(
        targets in proptest::collection::vec((any::<[u8; 4]>(), 1_u16.., 0_u16.., "iqn\\.[a-z0-9:.-]{1,20}"), 0..5),
        noise in "[!-~]{0,10}( [!-~]{0,10}){2,4}",
    ) {
        let line = |(address, port, group, iqn): &([u8; 4], u16, u16, String)| format!("{}:{port},{group} {iqn}\n{noise}\n", Ipv4Addr::from(*address));
        let text: String = targets.iter().map(line).collect();
        let read: Vec<String> = parse_send_targets(&text).iter().map(|(portal, iqn)| format!("{portal} {iqn}")).collect();
        let noise_is_a_target = parse_send_targets(&noise).len() == 1;
        let printed: Vec<String> = targets.iter().map(|(address, port, _, iqn)| format!("{}:{port} {iqn}", Ipv4Addr::from(*address))).collect();
        prop_assert!(noise_is_a_target || read == printed, "{:?} {:?}", read, printed);
    }

    #[test]
    fn no_output_is_too_strange(text in any_output(), option in "[a-z_]{1,10}") {
        for (portal, iqn) in parse_send_targets(&text) {
            prop_assert!(is_harmless(&portal.to_string()) && is_harmless(iqn.as_str()));
        }
        prop_assert!(parse_paths(&text).len() <= text.lines().count());
        prop_assert!(parse_default(&text, &option).is_none_or(|value| !value.contains('\n')));
        prop_assert!(parse_interface_transport(&text).is_none_or(|value| !value.contains('\n')));
    }
}
