//! An attach that fails leaves nothing, and says what came first; one that was killed is put right by the next.

use os_brick_engine::error::{Error, Result};
use os_brick_engine::transports::iscsi::Attachment;
use serde_json::json;

use crate::check::{IQN, all_paths, attach, connect, detach, merged, multipath, one_path, settings, single};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::{FakeHost, Trouble, Volume, node_db};

/// Both ways to attach, each on a new host with one trouble.
fn attach_with(pattern: &str, trouble: &Trouble, then: impl Fn(&FakeHost, Result<Attachment>)) {
    for settings in [single(), multipath()] {
        let (fake, portals) = host_with_portals::<2>();
        fake.trouble(pattern, trouble.clone());
        let outcome = connect(&fake, &all_paths(&portals, IQN, 1), &settings);
        then(&fake, outcome);
    }
}

/// IC-30: a worker that ends in whatever way is a path that failed, and the attach ends.
#[test]
fn ic_27_a_failed_attach_leaves_nothing() {
    let troubles = [
        ("--op new", Trouble::Exit(7, "iscsiadm: could not write")),
        ("--op new", Trouble::Timeout),
        ("--login", Trouble::Exit(8, "iscsiadm: connection timed out")),
        ("--login", Trouble::Exit(24, "iscsiadm: authorization failure")),
        ("--login", Trouble::Timeout),
        ("/scan", Trouble::Refused),
    ];
    for (pattern, trouble) in troubles {
        attach_with(pattern, &trouble, |fake, outcome| {
            let error = outcome.expect_err("no path comes up");
            assert!(matches!(error, Error::DeviceNotFound { .. }), "{pattern} {trouble:?}: {error:?}");
            fake.assert_clean();
        });
    }
}

/// IC-32: undoing fails as well; the first error is the one raised.
#[test]
fn ic_32_the_first_error_is_the_one_raised() {
    let (fake, portal) = host_with_volume();
    fake.trouble("/scan", Trouble::Refused);
    fake.trouble("--logout", Trouble::Exit(10, "iscsiadm: cannot log out"));
    let error = connect(&fake, &one_path(&portal, IQN, 1), &single()).expect_err("there is no disk");
    assert!(error.to_string().contains("/scan") && !error.to_string().contains("log out"), "{error}");
}

/// IC-27: a session that was there before the failed attach stays, and so does its neighbour's disk.
#[test]
fn ic_27_a_failed_attach_keeps_what_it_did_not_make() {
    let (fake, portals) = host_with_portals::<2>();
    fake.map_lun(IQN, 2, Volume::number(2));
    let other = all_paths(&portals, IQN, 2);
    attach(&fake, &other, &multipath());
    let before = fake.leftovers();
    fake.trouble("/scan", Trouble::Refused);
    connect(&fake, &all_paths(&portals, IQN, 1), &multipath()).expect_err("no path comes up");
    assert_eq!(fake.leftovers(), before);
    assert_eq!(fake.done("--logout"), Vec::<String>::new());
}

/// One path of two fails: the volume is attached over the other, and nothing of the first stays.
#[test]
fn ic_27_a_failed_path_leaves_nothing_of_itself() {
    let (fake, [first, second]) = host_with_portals();
    fake.trouble(&format!("-p {second} --login"), Trouble::Exit(24, "iscsiadm: authorization failure"));
    let properties = all_paths(&[&first, &second], IQN, 1);
    attach(&fake, &properties, &multipath());
    assert!(fake.record(&second, IQN).is_none());
    assert_eq!(fake.slaves(), ["sda"]);
    detach(&fake, &properties, &multipath());
    fake.assert_clean();
}

/// IC-31 with all others: one portal's busy database does not hold up the rest.
#[test]
fn ic_30_what_goes_wrong_on_one_path_stays_there() {
    let (fake, [first, second]) = host_with_portals();
    fake.log_in(&first, IQN);
    fake.trouble("--op new", Trouble::Timeout);
    attach(&fake, &all_paths(&[&first, &second], IQN, 1), &multipath());
    assert_eq!(fake.slaves(), ["sda"]);
}

/// A mistake of ours is told like any other failure; nobody waits for a thread that is gone.
#[test]
fn ic_30_a_panic_on_a_path_is_its_failure() {
    let (fake, portals) = host_with_portals::<2>();
    // No such trouble of a command exists, which the machine says by a panic.
    fake.trouble("--login", Trouble::SessionLost);
    let error = connect(&fake, &all_paths(&portals, IQN, 1), &multipath()).expect_err("no path is there");
    let Error::DeviceNotFound { reason, .. } = &error else { panic!("{error:?}") };
    assert_eq!(reason.matches("internal error in the engine").count(), 2, "{reason}");
}

/// Killed between two steps, at each of them: attached again and detached, the host is clean.
#[test]
fn a_killed_attach_is_put_right_by_the_next() {
    type Killed = fn(&FakeHost, &str);
    let states: [(&str, Killed); 5] = [
        ("after the record", |fake, portal| {
            let mut record = node_db::fresh(fake.tree(), portal, IQN, "default");
            record.set("node.session.initial_login_retry_max", "1");
            node_db::write(fake.tree(), &node_db::place(portal, IQN), &record);
        }),
        ("while the record was written", |fake, portal| {
            let (address, port) = portal.split_once(':').expect("a portal has a port");
            fake.tree().directory(&format!("/etc/iscsi/nodes/{IQN}"));
            assert!(!fake.tree().exists(&format!("/etc/iscsi/nodes/{IQN}/{address},{port}")));
        }),
        ("after the login", |fake, portal| {
            fake.log_in(portal, IQN);
        }),
        ("before udev saw the disk", |fake, portal| {
            let sid = fake.log_in(portal, IQN);
            let mut state = fake.machine.state();
            fake.machine.add_disk(&mut state, sid, 1);
        }),
        ("after the disk", |fake, portal| {
            let sid = fake.log_in(portal, IQN);
            fake.scan_in(sid, 1);
        }),
    ];
    for (when, killed) in states {
        for settings in [single(), multipath()] {
            let (fake, portals) = host_with_portals::<2>();
            killed(&fake, &portals[0]);
            let properties = all_paths(&portals, IQN, 1);
            let attachment = attach(&fake, &properties, &settings);
            assert_eq!(attachment.scsi_wwn, Volume::number(1).id(), "{when}");
            detach(&fake, &properties, &settings);
            fake.assert_clean();
        }
    }
}

/// ID-16: or detached without another attach.
#[test]
fn a_killed_attach_is_put_right_by_a_detach() {
    let (fake, portals) = host_with_portals::<3>();
    let sid = fake.log_in(&portals[0], IQN);
    fake.scan_in(sid, 1);
    fake.log_in(&portals[1], IQN);
    let record = node_db::fresh(fake.tree(), &portals[2], IQN, "default");
    node_db::write(fake.tree(), &node_db::place(&portals[2], IQN), &record);
    detach(&fake, &all_paths(&portals, IQN, 1), &multipath());
    fake.assert_clean();
}

/// What a killed writer left is not taken for a record, and the next writer clears it.
#[test]
fn a_half_written_record_is_no_record() {
    let (fake, portal) = host_with_volume();
    fake.trouble_times(1, "--login", Trouble::Exit(8, "iscsiadm: connection timed out"));
    connect(&fake, &one_path(&portal, IQN, 1), &single()).expect_err("the login fails");
    let records: Vec<String> = node_db::all(fake.tree()).into_keys().collect();
    assert_eq!(records, Vec::<String>::new());
    let hidden: Vec<String> =
        fake.tree().names("/etc/iscsi").into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, Vec::<String>::new());
}

/// Refused before the host is touched.
#[test]
fn an_interface_nobody_knows_falls_back_to_default() {
    let (fake, portal) = host_with_volume();
    let settings = settings(&serde_json::json!({"interface": "bnx2i.00:11:22:33:44:55"}));
    attach(&fake, &one_path(&portal, IQN, 1), &settings);
    assert_eq!(
        fake.done("iscsiadm")[..2],
        [
            "iscsiadm -m iface -I bnx2i.00:11:22:33:44:55".to_owned(),
            format!("iscsiadm -m node -T {IQN} -p {portal} --interface default --op new"),
        ]
    );
}

#[test]
fn a_bad_place_for_records_is_refused_before_anything_is_touched() {
    let (fake, portal) = host_with_volume();
    for bad in [json!("var/lib"), json!("/var/../etc"), json!(7)] {
        let settings = merged(&single(), &json!({"attachment_record_path": bad}));
        let error = connect(&fake, &one_path(&portal, IQN, 1), &settings).expect_err("it is no place");
        let Error::InvalidRequest { field, value, .. } = &error else { panic!("{error:?}") };
        assert_eq!((field.as_str(), value), ("attachment_record_path", &bad.to_string()));
    }
    assert_eq!(fake.journal(), [] as [String; 0]);
}
