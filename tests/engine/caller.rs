//! A caller that runs every command itself (`execute=`): everything the engine changes goes through it.

use std::time::Duration;

use os_brick_engine::error::Error;
use serde_json::json;

use crate::check::{
    IQN, all_paths, attach, connect, detach, disconnect_device, extend, merged, multipath, one_path, single,
};
use crate::support::storage::GIB;
use crate::support::{FakeHost, Trouble, Volume, log_book};

const SECRET: &str = "callers-own-secret";

fn host_of_caller<const N: usize>() -> (FakeHost, [String; N]) {
    let fake = FakeHost::of_caller();
    let portals = fake.portals();
    fake.target(IQN, &portals);
    fake.map_lun(IQN, 1, Volume::number(1));
    (fake, portals)
}

/// PX-10: the commands upstream would give, settings in one update.
#[test]
fn px_10_a_callers_executor_gets_every_command_and_write() {
    let (fake, [portal]) = host_of_caller();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    let node = format!("iscsiadm -m node -T {IQN} -p {portal}");
    assert_eq!(
        fake.journal(),
        [
            node.clone(),
            format!("{node} --interface default --op new"),
            format!("{node} --op update -n node.session.scan -v manual -n node.startup -v automatic"),
            format!("{node} --login"),
            "write 0 0 1 > /sys/class/scsi_host/host2/scan".to_owned(),
        ]
    );
    fake.forget_journal();
    disconnect_device(&fake, &properties, &single(), "/dev/sda").expect("nothing uses it");
    let mut lines = fake.journal();
    lines.retain(|line| !line.starts_with("multipathd show"));
    assert_eq!(
        lines,
        [
            "blockdev --flushbufs /dev/sda".to_owned(),
            "write 1 > /sys/block/sda/device/delete".to_owned(),
            format!("{node} --logout"),
            format!("{node} --op delete"),
        ]
    );
    fake.assert_clean();
}

/// ID-29, MP-21: by `multipath` itself.
#[test]
fn id_29_a_callers_map_is_flushed_by_multipath() {
    let (fake, portals) = host_of_caller::<2>();
    let properties = all_paths(&portals, IQN, 1);
    assert_eq!(attach(&fake, &properties, &multipath()).path, "/dev/dm-0");
    assert!(!fake.done("multipath -C dm-0").is_empty());
    assert_eq!(fake.done("multipath -a").len(), 1);
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.done("multipath -f"), [format!("multipath -f {}", Volume::number(1).id())]);
    assert_eq!(fake.done("blockdev"), Vec::<String>::new());
    fake.assert_clean();
}

/// The code of `multipath -C` is its answer, and the caller's callable tells only that it failed.
#[test]
fn mp_21_a_callers_map_is_handed_out_when_io_can_enter() {
    let (fake, portals) = host_of_caller::<2>();
    fake.behave(|manners| manners.paths_ready = false);
    fake.machine.later(Duration::from_millis(400), |_, state| state.manners.paths_ready = true);
    connect(&fake, &all_paths(&portals, IQN, 1), &multipath()).expect("its paths become ready");
    assert!(fake.machine.state().manners.paths_ready, "the map was handed out too early");
}

#[test]
fn ic_31_a_callers_busy_database_is_asked_again() {
    let (fake, [portal]) = host_of_caller();
    fake.trouble_times(3, "--op new", Trouble::Exit(6, "iscsiadm: Could not lock discovery DB"));
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    assert_eq!(fake.done("--op new").len(), 4);
}

/// Every path is asked through the callable before one of them is told to grow.
#[test]
fn mp_16_a_callers_path_that_is_down_stops_the_extend() {
    let (fake, portals) = host_of_caller::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.map_lun(IQN, 1, Volume::number(1).sized(2 * GIB));
    fake.tree().remove("/dev/sdb");
    fake.tree().directory("/dev/sdb");
    fake.forget_journal();
    let error = extend(&fake, &properties, &multipath()).expect_err("sdb is down");
    assert!(matches!(&error, Error::PathDown { reason } if reason.contains("sdb")), "{error:?}");
    assert_eq!(fake.done("write"), Vec::<String>::new());
    fake.tree().remove("/dev/sdb");
    fake.tree().write("/dev/sdb", "");
    assert_eq!(extend(&fake, &properties, &multipath()).expect("all paths are up"), 2 * GIB);
    assert_eq!(fake.done("rescan").len(), 2);
}

/// IC-18: a record that is there is completed, not reset.
#[test]
fn ic_18_a_callers_record_that_is_there_is_updated_alone() {
    let (fake, [portal]) = host_of_caller();
    crate::support::node_db::write_discovered(fake.tree(), &portal, IQN);
    attach(&fake, &one_path(&portal, IQN, 1), &single());
    assert_eq!(fake.done("--op new"), Vec::<String>::new());
    assert_eq!(fake.logins()[0].scan, "manual");
}

/// SE-02, SE-06, SE-07: the caller's command needs the password; logs and errors do not.
#[test]
fn se_06_a_callers_secret_is_in_no_log_and_no_error() {
    log_book::open();
    let (fake, [portal]) = host_of_caller();
    fake.require_chap(IQN, "nova", SECRET);
    let credentials = json!({"auth_method": "CHAP", "auth_username": "nova", "auth_password": SECRET});
    let properties = merged(&one_path(&portal, IQN, 1), &credentials);
    attach(&fake, &properties, &single());
    detach(&fake, &properties, &single());
    fake.trouble("--op update", Trouble::Exit(7, "iscsiadm: could not write"));
    let error = connect(&fake, &properties, &single()).expect_err("the record cannot be completed");
    let Error::DeviceNotFound { reason, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(reason.contains("node.session.auth.password -v ***"), "{reason}");
    assert!(!format!("{error:?}").contains(SECRET));
    assert_eq!(log_book::lines_with(SECRET), Vec::<String>::new());
    assert!(!log_book::lines_with(&portal).is_empty(), "the log was listened to");
}
