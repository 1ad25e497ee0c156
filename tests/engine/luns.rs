//! LUN numbers and portals in every spelling properties bring.

use os_brick_engine::host::view::iscsi_session;
use serde_json::{Value, json};

use crate::check::{IQN, attach, detach, merged, multipath, one_path, settings, single, volume_devices, volume_paths};
use crate::connect_single::host_with_volume;
use crate::support::{FakeHost, Volume};

/// Attaches and detaches LUN `lun` of the properties; the kernel's number and udev's name of it are given.
#[track_caller]
fn check_lun(addressing: &Value, lun: &Value, kernel: u64, by_path: &str) {
    let fake = FakeHost::new();
    let portal = fake.portal();
    fake.behave(|manners| manners.forms_maps = false);
    fake.target(IQN, &[&portal]);
    fake.map_lun(IQN, kernel, Volume::number(1));
    fake.map_lun(IQN, kernel + 1, Volume::number(2));
    let mut properties = merged(&one_path(&portal, IQN, 0), &json!({"target_lun": lun}));
    if !addressing.is_null() {
        properties["addressing_mode"] = addressing.clone();
    }
    assert_eq!(attach(&fake, &properties, &single()).scsi_wwn, Volume::number(1).id());
    let host = fake.host_number(&portal, IQN);
    assert_eq!(fake.done("scan"), [format!("write 0 0 {kernel} > /sys/class/scsi_host/host{host}/scan")]);
    let link = format!("/dev/disk/by-path/ip-{portal}-iscsi-{IQN}-lun-{by_path}");
    assert_eq!(volume_paths(&fake, &properties, &single()), [link]);
    assert_eq!(volume_devices(&fake, &properties, &single()), ["sda"]);
    detach(&fake, &properties, &single());
    fake.assert_clean();
}

#[test]
fn lu_01_luns_above_255_have_hexadecimal_names() {
    check_lun(&Value::Null, &json!(255), 255, "255");
    check_lun(&Value::Null, &json!(256), 256, "0x0100000000000000");
    check_lun(&Value::Null, &json!(0x0001_0002), 0x0001_0002, "0x0002000100000000");
}

/// and it is ours again at the detach.
#[test]
fn lu_02_a_lun_may_be_a_string() {
    check_lun(&Value::Null, &json!("5"), 5, "5");
}

#[test]
fn lu_04_flat_space_addressing_is_understood() {
    check_lun(&json!("SAM"), &json!(300), 300, "0x012c000000000000");
    check_lun(&json!("transparent"), &json!(300), 300, "0x012c000000000000");
    check_lun(&json!("SAM2"), &json!(5), 5, "5");
    check_lun(&json!("SAM2"), &json!(300), 16684, "0x412c000000000000");
    check_lun(&json!("SAM3-flat"), &json!(5), 16389, "0x4005000000000000");
}

/// SC-02: LUN 300 is not LUN 44.
#[test]
fn sc_02_a_lun_above_255_is_not_cut() {
    let (fake, portal) = host_with_volume();
    fake.map_lun(IQN, 44, Volume::number(2));
    fake.map_lun(IQN, 300, Volume::number(3));
    attach(&fake, &one_path(&portal, IQN, 44), &single());
    attach(&fake, &one_path(&portal, IQN, 300), &single());
    detach(&fake, &one_path(&portal, IQN, 300), &single());
    assert_eq!(fake.disk(&portal, IQN, 44).as_deref(), Some("sda"));
    assert_eq!(fake.disk(&portal, IQN, 300), None);
}

/// LU-05: each path its own LUN.
#[test]
fn lu_06_a_lun_belongs_to_its_portal() {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    let iqns = ["iqn.a", "iqn.b"];
    fake.target(iqns[0], &portals[..1]);
    fake.target(iqns[1], &portals[1..]);
    fake.map_lun(iqns[0], 3, Volume::number(1));
    fake.map_lun(iqns[1], 7, Volume::number(1));
    fake.map_lun(iqns[1], 3, Volume::number(2));
    let properties = json!({"target_portals": portals, "target_iqns": iqns, "target_luns": [3, 7]});
    attach(&fake, &properties, &multipath());
    let mut scans: Vec<String> = fake.done("scan");
    scans.sort();
    let mut wanted: Vec<String> = (0..2)
        .map(|i| {
            let host = fake.host_number(&portals[i], iqns[i]);
            format!("write 0 0 {} > /sys/class/scsi_host/host{host}/scan", [3, 7][i])
        })
        .collect();
    wanted.sort();
    assert_eq!(scans, wanted);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// A host with an IPv6 portal; iSER, because its portals are not asked over TCP.
fn host_with_ipv6(spelled: &str) -> FakeHost {
    let fake = FakeHost::new();
    fake.behave(|manners| manners.forms_maps = false);
    fake.portal_elsewhere(spelled, 3260);
    fake.target(IQN, &[format!("[{spelled}]:3260")]);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake
}

fn iser() -> Value {
    settings(&json!({"interface": "iser"}))
}

/// IC-39: links without brackets, commands with them.  IC-08: an iSER session is found and ended like any other.
#[test]
fn ic_39_an_ipv6_portal_has_brackets_in_commands_alone() {
    let fake = host_with_ipv6("fd00::1");
    let properties = one_path("[fd00::1]:3260", IQN, 1);
    attach(&fake, &properties, &iser());
    assert_eq!(fake.done("--login"), [format!("iscsiadm -m node -T {IQN} -p [fd00::1]:3260 --login")]);
    assert_eq!(
        volume_paths(&fake, &properties, &iser()),
        [format!("/dev/disk/by-path/ip-fd00::1:3260-iscsi-{IQN}-lun-1")]
    );
    detach(&fake, &properties, &iser());
    fake.assert_clean();
}

/// The kernel's modules are `iscsi_tcp` and `iscsi_iser`; an offload driver has its own name in iscsiadm, too.
#[test]
fn ic_08_sessions_are_named_as_iscsiadm_names_them() {
    let (fake, portal) = host_with_volume();
    let sid = fake.log_in(&portal, IQN);
    let root = fake.host().root;
    let named = |driver: &str| {
        fake.tree().write(&format!("/sys/class/scsi_host/host{}/proc_name", fake.host_number(&portal, IQN)), driver);
        iscsi_session::by_sid(&root, sid).and_then(|session| session.transport(&root)).expect("it is logged in")
    };
    assert_eq!(["iscsi_tcp\n", "iscsi_iser\n", "bnx2i\n"].map(named), ["tcp", "iser", "bnx2i"]);
}

/// IC-11: the session is known under every spelling.
#[test]
fn ic_11_a_session_is_found_in_whatever_case_it_is_spelled() {
    let fake = host_with_ipv6("fd00::ab");
    let sid = fake.log_in("[FD00::AB]:3260", IQN);
    fake.scan_in(sid, 1);
    for spelled in ["[fd00::ab]:3260", "[FD00::ab]:3260", "fd00:0:0::ab:3260"] {
        let properties = one_path(spelled, IQN, 1);
        assert_eq!(volume_devices(&fake, &properties, &iser()), ["sda"]);
        assert_eq!(attach(&fake, &properties, &iser()).path, "/dev/sda");
    }
    assert_eq!(fake.done("iscsiadm"), Vec::<String>::new());
}

/// IC-11: iscsiadm finds sessions by the spelling of the record; the properties at the detach have another.
#[test]
fn x_03_a_session_in_another_spelling_is_ended() {
    let fake = host_with_ipv6("fd00::ab");
    let sid = fake.log_in("[FD00::AB]:3260", IQN);
    fake.scan_in(sid, 1);
    detach(&fake, &one_path("[fd00::ab]:3260", IQN, 1), &iser());
    fake.assert_clean();
}

/// IC-11: a record there in another spelling serves the login.
#[test]
fn ic_11_a_record_in_another_spelling_serves() {
    let fake = host_with_ipv6("fd00::ab");
    let sid = fake.log_in("[FD00::AB]:3260", IQN);
    fake.end_session(sid);
    let properties = one_path("[fd00::ab]:3260", IQN, 1);
    assert_eq!(attach(&fake, &properties, &iser()).path, "/dev/sda");
    detach(&fake, &properties, &iser());
    fake.assert_clean();
}
