//! Parsers on captured outputs: `tests/fixtures/programs/`, each file named by its quirk.

use os_brick_engine::host::programs::iscsiadm::{parse_interface_transport, parse_send_targets};
use os_brick_engine::host::programs::multipathd::{parse_default, parse_paths};
use os_brick_engine::host::view::node_record;
use os_brick_engine::identifiers::{Naming, Wwid, naming, scsi_id};

use crate::support::vpd;

fn fixture(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/programs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn check_send_targets(name: &str, expected: &[(&str, &str)]) {
    let found: Vec<(String, String)> =
        parse_send_targets(&fixture(name)).iter().map(|(portal, iqn)| (portal.to_string(), iqn.to_string())).collect();
    let expected: Vec<(String, String)> =
        expected.iter().map(|(portal, iqn)| ((*portal).into(), (*iqn).into())).collect();
    assert_eq!(found, expected);
}

#[test]
fn ic_09_debug_lines_among_targets_are_passed_over() {
    check_send_targets(
        "iscsiadm-sendtargets-debug-lines.txt",
        &[
            ("192.168.204.82:3260", "iqn.2010-10.org.openstack:volume-f9b12623-6ce3-4dac-a71f-09ad4249bdd3"),
            ("192.168.204.82:3261", "iqn.2010-10.org.openstack:volume-f9b12623-6ce3-4dac-a71f-09ad4249bdd4"),
        ],
    );
}

#[test]
fn ic_10_the_portal_group_is_no_part_of_the_portal() {
    check_send_targets(
        "iscsiadm-sendtargets-portal-group-129.txt",
        &[
            ("172.168.101.36:3260", "iqn.2099-01.cn.com.zte:usp.spr11-4c:09:b4:b0:56:8b"),
            ("172.168.101.38:3260", "iqn.2099-01.cn.com.zte:usp.spr11-4c:09:b4:b0:56:8c"),
        ],
    );
}

/// IC-11: in the one spelling of an address.
#[test]
fn ic_11_ipv6_portals_are_understood_in_any_case() {
    let iqn = "iqn.2010-10.org.openstack:volume-1";
    check_send_targets(
        "iscsiadm-sendtargets-ipv6.txt",
        &[
            ("[fd00:fd00:fd00:4000::12]:3260", iqn),
            ("[fd00:fd00:fd00:4000::13]:3260", iqn),
            ("[fe80::5054:ff:fe12:3456%ens4]:3260", iqn),
        ],
    );
}

#[test]
fn ic_13_corrupt_entries_are_passed_over() {
    let iqn = "iqn.2010-10.org.openstack:volume-1";
    check_send_targets(
        "iscsiadm-sendtargets-corrupt-entry.txt",
        &[("10.11.12.13:3260", iqn), ("10.11.12.14:3260", iqn)],
    );
}

#[test]
fn ic_06_the_transport_of_an_interface_is_read() {
    assert_eq!(parse_interface_transport(&fixture("iscsiadm-iface-bnx2i.txt")).as_deref(), Some("bnx2i"));
    assert_eq!(parse_interface_transport(""), None);
}

#[track_caller]
fn check_paths(name: &str, expected: &[(&str, Option<&str>, bool)]) {
    let paths = parse_paths(&fixture(name));
    let found: Vec<(&str, Option<&str>, bool)> =
        paths.iter().map(|(disk, path)| (disk.as_str(), path.map.as_deref(), path.is_usable())).collect();
    assert_eq!(found, expected);
}

/// ID-27: `ok` is no path.
#[test]
fn id_27_a_multipathd_without_paths_says_ok() {
    check_paths("multipathd-show-paths-no-paths.txt", &[]);
}

#[test]
fn mp_21_a_path_takes_io_when_active_and_ready_in_a_map() {
    check_paths(
        "multipathd-show-paths-orphans.txt",
        &[
            ("sda", Some("mpatha"), true),
            ("sdb", Some("mpatha"), false),
            ("sdc", None, false),
            ("sdd", None, false),
            ("sde", Some("3600140500000000000000000000000ab"), true),
        ],
    );
}

/// MP-02: nor are the empty lines between them.
#[test]
fn mp_01_log_lines_are_no_paths() {
    check_paths("multipathd-show-paths-log-lines.txt", &[("sda", Some("mpatha"), true), ("sdb", Some("mpatha"), true)]);
}

#[test]
fn ic_24_the_defaults_section_decides_about_find_multipaths() {
    let text = fixture("multipathd-show-config-local.txt");
    assert_eq!(parse_default(&text, "find_multipaths").as_deref(), Some("strict"));
    assert_eq!(parse_default(&text, "path_grouping_policy").as_deref(), Some("failover"));
    assert_eq!(parse_default(&text, "find_multipath"), None);
}

#[test]
fn a_record_of_open_iscsi_is_read_and_completed() {
    let text = fixture("node_record-op-new-2.1.8.txt");
    assert_eq!(node_record::setting(&text, "node.session.scan"), Some("auto"));
    let changed = node_record::with_settings(
        &text,
        &[
            ("node.session.scan", "manual"),
            ("node.session.auth.username", "nova"),
            ("node.session.auth.password", "a = b"),
        ],
    );
    assert_eq!(node_record::setting(&changed, "node.session.scan"), Some("manual"));
    assert_eq!(node_record::setting(&changed, "node.session.auth.password"), Some("a = b"));
    assert!(changed.ends_with("node.session.auth.username = nova\nnode.session.auth.password = a = b\n# END RECORD\n"));
    assert_eq!(changed.lines().count(), text.lines().count() + 2);
}

/// SC-04: every captured page; its head says what `scsi_id` makes of it.
#[test]
fn sc_04_the_identity_is_the_one_scsi_id_prints() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/programs");
    let names = std::fs::read_dir(folder).expect("the fixtures are in the source tree");
    let mut pages = 0;
    for name in names.map(|entry| entry.expect("a folder can be read").file_name().to_string_lossy().into_owned()) {
        if !name.starts_with("vpd_pg83-") {
            continue;
        }
        let text = fixture(&name);
        let expected = text.lines().find_map(|line| line.strip_prefix("# scsi_id: ")).expect("the head says it");
        let hex: String = text.lines().filter(|line| !line.starts_with('#')).collect::<String>().replace(' ', "");
        let found = scsi_id(&vpd::bytes(&hex)).map_or("none".to_owned(), |wwid| wwid.to_string());
        assert_eq!(found, expected, "{name}");
        pages += 1;
    }
    assert_eq!(pages, 8);
}

/// What the fake's volumes show is what LIO shows.
#[test]
fn the_fakes_pages_are_those_of_lio() {
    let naa = vpd::bytes("6001405f3a2b1c4d5e6f708192a3b4c5");
    let page = vpd::lio(&naa, "f3a2b1c4", "iqn.2003-01.org.linux-iscsi:lab");
    assert_eq!(scsi_id(&page).map(|wwid| wwid.to_string()).as_deref(), Some("36001405f3a2b1c4d5e6f708192a3b4c5"));
}

/// SE-08: a leftover map is told from one that multipath was configured to name otherwise.
#[test]
fn ic_38_a_page_says_which_identities_are_its_own() {
    let naa = vpd::bytes("6001405f3a2b1c4d5e6f708192a3b4c5");
    let page = vpd::lio(&naa, "f3a2b1c4", "iqn.2003-01.org.linux-iscsi:lab");
    let says = |identity: &str| naming(&page, &Wwid::from_udev(identity).expect("it is one"));
    for own in ["36001405f3a2b1c4d5e6f708192a3b4c5", "36001405F3A2B1C4D5E6F708192A3B4C5", "1LIO-ORG_fileio:f3a2b1c4"] {
        assert_eq!(says(own), Naming::Offered, "{own}");
    }
    for other in ["36001405f3a2b1c4d5e6f708192a3b4c6", "1LIO-ORG_fileio:f3a2b1c5", "3", "1LIO-ORG"] {
        assert_eq!(says(other), Naming::Contradicted, "{other}");
    }
    for unknown in ["SLIO-ORG_disk_f3a2b1c4", "20025385000000001", "naa.6001405f3a2b1c4d5e6f708192a3b4c5"] {
        assert_eq!(says(unknown), Naming::Silent, "{unknown}");
    }
}
