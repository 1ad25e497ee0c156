//! Attaching over one path.

use os_brick_engine::error::Error;
use os_brick_engine::transports::iscsi::Attachment;
use serde_json::json;

use crate::check::{IQN, all_paths, attach, connect, detach, one_path, single, volume_paths};
use crate::connect_multipath::check_told;
use crate::support::{FakeHost, Trouble, Volume, log_book};

pub fn host_with_volume() -> (FakeHost, String) {
    let (fake, [portal]) = host_with_portals();
    (fake, portal)
}

/// A target behind all portals, with volume 1 at LUN 1.
pub fn host_with_portals<const N: usize>() -> (FakeHost, [String; N]) {
    let fake = FakeHost::new();
    let portals = fake.portals();
    fake.target(IQN, &portals);
    fake.map_lun(IQN, 1, Volume::number(1));
    (fake, portals)
}

#[test]
fn a_volume_becomes_a_disk_and_goes_again() {
    let (fake, portal) = host_with_volume();
    let properties = one_path(&portal, IQN, 1);
    let attachment = attach(&fake, &properties, &single());
    let expected = Attachment { path: "/dev/sda".to_owned(), scsi_wwn: Volume::number(1).id(), multipath_id: None };
    assert_eq!(attachment, expected);
    detach(&fake, &properties, &single());
    fake.assert_clean();
}

/// IC-20, IC-40: one scan, of exactly this LUN, and nothing else rescans.
#[test]
fn ic_22_only_the_lun_asked_for_is_scanned_and_once() {
    let (fake, portal) = host_with_volume();
    fake.map_lun(IQN, 0, Volume::number(8));
    fake.map_lun(IQN, 2, Volume::number(9));
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    let host = fake.host_number(&portal, IQN);
    assert_eq!(fake.done("write"), [format!("write 0 0 1 > /sys/class/scsi_host/host{host}/scan")]);
    assert_eq!(fake.done("rescan"), Vec::<String>::new());
    assert_eq!(fake.disks(), ["sda"]);
}

/// IC-21: two sessions with one target name; the one of the portal asked for is scanned.
#[test]
fn ic_21_the_session_of_the_portal_is_scanned() {
    let (fake, [first, second]) = host_with_portals();
    fake.log_in(&first, IQN);
    fake.log_in(&second, IQN);
    attach(&fake, &one_path(&second, IQN, 1), &single());
    let host = fake.host_number(&second, IQN);
    assert_eq!(fake.done("scan"), [format!("write 0 0 1 > /sys/class/scsi_host/host{host}/scan")]);
}

/// One line at INFO: the phases with their times, and the portal that was passed over.
#[test]
fn an_attach_over_one_path_tells_its_phases_and_what_is_missing() {
    log_book::open();
    let (fake, [first, second]) = host_with_portals();
    fake.stop_portal(&first);
    attach(&fake, &all_paths(&[&first, &second], IQN, 1), &single());
    let missing = format!("Unable to find target portal {first}: connection refused: no target listens there");
    check_told(
        &first,
        &format!(
            "INFO os_brick.engine.iscsi attached {first} {IQN} LUN 1 as /dev/sda, without {first} {IQN} LUN 1 \
             ({missing}): lock _ s, login {second} _ s, device _ s, identity _ s, total _ s"
        ),
    );
}

#[test]
fn ic_01_portals_are_tried_in_their_order() {
    let (fake, [first, second]) = host_with_portals();
    attach(&fake, &all_paths(&[&first, &second], IQN, 1), &single());
    assert!(fake.has_session(&first, IQN));
    assert_eq!(fake.done(&second), Vec::<String>::new());
}

#[test]
fn ic_01_a_portal_that_is_dead_is_passed_over() {
    let (fake, [first, second]) = host_with_portals();
    fake.stop_portal(&first);
    attach(&fake, &all_paths(&[&first, &second], IQN, 1), &single());
    assert!(fake.has_session(&second, IQN));
    assert_eq!(fake.done(&first), Vec::<String>::new(), "a dead portal is never given to iscsid");
}

#[test]
fn ic_01_a_login_that_fails_leads_to_the_next_portal() {
    let (fake, [first, second]) = host_with_portals();
    fake.trouble(&format!("-p {first} --login"), Trouble::Exit(8, "iscsiadm: connection timed out"));
    let properties = all_paths(&[&first, &second], IQN, 1);
    attach(&fake, &properties, &single());
    assert!(fake.has_session(&second, IQN));
    assert!(fake.record(&first, IQN).is_none(), "the record of a login that failed goes");
    detach(&fake, &properties, &single());
    fake.assert_clean();
}

/// A portal that failed lately is tried after the others, not instead of them.
#[test]
fn ic_01_a_portal_that_failed_lately_comes_last() {
    let (fake, [first, second]) = host_with_portals();
    fake.map_lun(IQN, 2, Volume::number(2));
    fake.stop_portal(&first);
    attach(&fake, &all_paths(&[&first, &second], IQN, 1), &single());
    fake.start_portal(&first);
    attach(&fake, &all_paths(&[&first, &second], IQN, 2), &single());
    assert!(!fake.has_session(&first, IQN));
    assert!(fake.disk(&second, IQN, 2).is_some());
}

/// IC-30: whatever a path ends with, the attach ends.
#[test]
fn ic_02_an_attach_without_a_login_fails_and_says_why_for_each_portal() {
    let (fake, [first, second]) = host_with_portals();
    fake.stop_portal(&first);
    fake.trouble("--login", Trouble::Timeout);
    let error = connect(&fake, &all_paths(&[&first, &second], IQN, 1), &single()).expect_err("there is no session");
    let Error::DeviceNotFound { reason, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(reason.contains(&format!("{first} {IQN} LUN 1: ")) && reason.contains("refused"), "{reason}");
    assert!(reason.contains(&format!("{second} {IQN} LUN 1: ")) && reason.contains("did not finish"), "{reason}");
    fake.assert_clean();
}

#[test]
fn ic_29_a_session_that_is_there_is_used() {
    let (fake, portal) = host_with_volume();
    fake.log_in(&portal, IQN);
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    assert_eq!(fake.done("iscsiadm"), Vec::<String>::new());
}

/// Code 15: iscsid was quicker than we.
#[test]
fn ic_29_a_login_that_finds_a_session_has_succeeded() {
    let (fake, portal) = host_with_volume();
    fake.trouble("--login", Trouble::Exit(15, "iscsiadm: session exists"));
    let (of_boot, iqn) = (portal.clone(), IQN);
    fake.machine.later(std::time::Duration::from_millis(150), move |machine, state| {
        machine.add_session(state, &of_boot, iqn);
    });
    let attachment = attach(&fake, &one_path(&portal, IQN, 1), &single());
    assert_eq!(attachment.path, "/dev/sda");
}

/// LK-01: a service that does not share our locks logs out between login and scan.
#[test]
fn ic_37_an_attach_whose_session_is_taken_away_begins_anew() {
    let (fake, portal) = host_with_volume();
    fake.trouble_times(1, "scan", Trouble::SessionLost);
    let attachment = attach(&fake, &one_path(&portal, IQN, 1), &single());
    assert_eq!(attachment.path, "/dev/sda");
    assert_eq!(fake.done("--login").len(), 2);
}

#[test]
fn ic_37_an_attach_begins_anew_twice_at_most() {
    let (fake, portal) = host_with_volume();
    fake.trouble("scan", Trouble::SessionLost);
    let error = connect(&fake, &one_path(&portal, IQN, 1), &single()).expect_err("the session never stays");
    assert!(matches!(error, Error::SessionLost { .. }), "{error:?}");
    assert_eq!(fake.done("--login").len(), 3);
    fake.assert_clean();
}

/// IC-39: LUNs and portals with a session have their links; a portal without one gets none.
#[test]
fn ic_35_the_paths_of_a_volume_are_those_with_a_session() {
    let (fake, [first, second]) = host_with_portals();
    let properties = all_paths(&[&first, &second], IQN, 1);
    attach(&fake, &properties, &single());
    fake.settle();
    fake.forget_journal();
    assert_eq!(
        volume_paths(&fake, &properties, &single()),
        [format!("/dev/disk/by-path/ip-{first}-iscsi-{IQN}-lun-1")]
    );
    assert_eq!(fake.journal(), Vec::<String>::new(), "looking changes nothing");
    assert!(!fake.has_session(&second, IQN));
}

#[test]
fn sc_08_a_volume_that_is_not_attached_has_no_paths() {
    let (fake, portal) = host_with_volume();
    fake.tree().remove("/dev/disk/by-path");
    assert_eq!(volume_paths(&fake, &one_path(&portal, IQN, 1), &single()), Vec::<String>::new());
}

/// The disk as it is, for a volume that is attached already: nothing is removed, nothing is made.
#[test]
fn attaching_twice_gives_the_same_disk() {
    let (fake, portal) = host_with_volume();
    let properties = one_path(&portal, IQN, 1);
    let first = attach(&fake, &properties, &single());
    fake.settle();
    fake.forget_journal();
    assert_eq!(attach(&fake, &properties, &single()), first);
    assert_eq!(fake.journal(), ["write 1 > /sys/block/sda/device/rescan"], "its live identity is read, no more");
}

/// What iscsiadm does not know, or says to be of a transport nobody supports, is not used.
#[test]
fn ic_06_an_interface_is_used_if_its_transport_is_known() {
    for (file, trouble, used) in [
        (Some("iface.transport_name = bnx2i\n"), None, "bnx2i.00"),
        (Some("iface.transport_name = carrier-pigeon\n"), None, "default"),
        (Some("iface.transport_name = bnx2i\n"), Some(2), "default"),
        (None, None, "default"),
    ] {
        let (fake, portal) = host_with_volume();
        if let Some(text) = file {
            fake.tree().write("/etc/iscsi/ifaces/bnx2i.00", text);
        }
        if let Some(code) = trouble {
            fake.trouble("-m iface", Trouble::Exit(code, "iscsiadm: Could not connect to iscsid"));
        }
        let settings = crate::check::settings(&json!({"interface": "bnx2i.00"}));
        attach(&fake, &one_path(&portal, IQN, 1), &settings);
        assert_eq!(
            fake.done("--op new"),
            [format!("iscsiadm -m node -T {IQN} -p {portal} --interface {used} --op new")],
            "{file:?} {trouble:?}"
        );
    }
}

#[test]
fn ic_07_a_tcp_interface_of_the_operators_is_used_for_the_record() {
    let (fake, portal) = host_with_volume();
    fake.tree().write("/etc/iscsi/ifaces/storage0", "iface.iscsi_ifacename = storage0\niface.transport_name = tcp\n");
    let settings = crate::check::settings(&json!({"interface": "storage0"}));
    attach(&fake, &one_path(&portal, IQN, 1), &settings);
    assert_eq!(
        fake.done("iscsiadm")[..2],
        [
            "iscsiadm -m iface -I storage0".to_owned(),
            format!("iscsiadm -m node -T {IQN} -p {portal} --interface storage0 --op new"),
        ]
    );
}
