//! Tests of how long the engine waits for what does not come.  They only wait, so all of them wait at once, beside the
//! other tests: `begin` starts them, each `#[test]` waits for its own.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use os_brick_engine::error::Error;
use serde_json::json;

use crate::check::{
    IQN, all_paths, attach, connect, detach, disconnect, disconnect_by_force, extend, multipath, one_path, settings,
    single, timed,
};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::storage::GIB;
use crate::support::{FakeHost, Multipathd, Trouble, Volume};

type Running = Mutex<HashMap<&'static str, JoinHandle<()>>>;

pub type Named = (&'static str, fn());

static RUNNING: OnceLock<Running> = OnceLock::new();

/// Starts them all, once.
pub fn begin() -> &'static Running {
    let start = |(name, test): Named| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        (name, thread.spawn(test).expect("a thread can be started"))
    };
    RUNNING.get_or_init(|| Mutex::new(all_tests().map(start).collect()))
}

fn all_tests() -> impl Iterator<Item = Named> {
    let elsewhere = [
        crate::attachment_records::all(),
        crate::fc_waiting::all(),
        crate::nameless::all(),
        crate::nvmeof_vacancy::all(),
    ];
    all().into_iter().chain(elsewhere.into_iter().flatten())
}

/// Waits for one of them, and panics as it did.
pub fn end_of(name: &str) {
    let thread = begin().lock().expect("nobody panics here").remove(name).expect("each test is waited for once");
    if let Err(panic) = thread.join() {
        match panic
            .downcast::<String>()
            .or_else(|panic| panic.downcast::<&str>().map(|text| Box::new((*text).to_owned())))
        {
            Ok(message) => panic!("{message}"),
            Err(panic) => resume_unwind(panic),
        }
    }
}

macro_rules! all_at_once {
    ($($(#[$attribute:meta])* fn $name:ident() $body:block)*) => {
        pub fn all() -> Vec<Named> {
            vec![$((stringify!($name), bodies::$name)),*]
        }
        mod bodies {
            use super::*;
            $(pub fn $name() $body)*
        }
        $($(#[$attribute])* fn $name() { end_of(stringify!($name)) })*
    };
}

pub(crate) use all_at_once;

all_at_once! {
    /// The session of the first portal is ended before the second is tried: its disk could come later.
    #[test]
    fn ic_28_a_portal_without_the_disk_is_left_before_the_next_is_tried() {
        let (fake, [first, second]) = host_with_portals();
        fake.trouble("host2/scan", Trouble::Ignored);
        let properties = all_paths(&[&first, &second], IQN, 1);
        attach(&fake, &properties, &single());
        assert!(!fake.has_session(&first, IQN) && fake.record(&first, IQN).is_none());
        assert!(fake.has_session(&second, IQN));
        let lines = fake.journal();
        let position = |what: &str| lines.iter().position(|line| line.ends_with(what)).expect("it was done");
        assert!(position(&format!("-p {first} --logout")) < position(&format!("-p {second} --login")));
        detach(&fake, &properties, &single());
        fake.assert_clean();
    }

    /// IC-19: again after 4 s, and given up after 9 more, with one attempt configured.
    #[test]
    fn ic_27_a_disk_that_never_appears_is_given_up() {
        let (fake, portal) = host_with_volume();
        fake.unmap_lun(IQN, 1);
        let (outcome, took) = timed(|| connect(&fake, &one_path(&portal, IQN, 1), &single()));
        assert!(matches!(outcome, Err(Error::DeviceNotFound { .. })), "{outcome:?}");
        assert!(took.wall > Duration::from_secs(12), "{took:?}");
        assert_eq!(fake.done("/scan").len(), 2);
        fake.assert_clean();
    }

    #[test]
    fn ic_36_a_disk_without_identity_is_returned_without_one() {
        let (fake, portal) = host_with_volume();
        fake.map_lun(IQN, 1, Volume::without_identity());
        let attachment = connect(&fake, &one_path(&portal, IQN, 1), &single()).expect("the disk is there");
        assert_eq!((attachment.path.as_str(), attachment.scsi_wwn.as_str()), ("/dev/sda", ""));
    }

    /// Without identities nothing says that the target discovered on another portal is the same volume.
    #[test]
    fn ic_03_a_disk_without_identity_of_another_target_is_not_taken() {
        let fake = FakeHost::new();
        let portals = fake.portals::<2>();
        for (portal, iqn) in portals.iter().zip([IQN, "iqn.foreign"]) {
            fake.target(iqn, &[portal]);
            fake.map_lun(iqn, 1, Volume::without_identity());
        }
        // The other one is there first.
        fake.trouble(&format!("-p {} --login", portals[0]), Trouble::Until(|state| !state.disks.is_empty()));
        let properties = one_path(&portals[0], IQN, 1);
        let attachment = connect(&fake, &properties, &multipath()).expect("the named disk is there");
        assert_eq!(Some(attachment.path), fake.disk(&portals[0], IQN, 1).map(|disk| format!("/dev/{disk}")));
        assert!(!fake.has_session(&portals[1], "iqn.foreign"), "{}", fake.story());
        detach(&fake, &properties, &multipath());
        fake.assert_clean();
    }

    /// MP-08, MP-25: one of the disks, and no `multipath_id`.
    #[test]
    fn ic_25_without_a_map_a_disk_is_returned() {
        let (fake, portals) = host_with_portals::<2>();
        fake.behave(|manners| manners.forms_maps = false);
        let properties = all_paths(&portals, IQN, 1);
        let attachment = attach(&fake, &properties, &multipath());
        assert!(attachment.path.starts_with("/dev/sd"), "{attachment:?}");
        assert_eq!(attachment.multipath_id, None);
        assert_eq!(attachment.scsi_wwn, Volume::number(1).id());
        detach(&fake, &properties, &multipath());
        assert_eq!(fake.disks(), Vec::<String>::new());
    }

    /// IC-25: many disks at once, and multipathd is told of one udev has not done.
    #[test]
    fn a_map_is_waited_for_as_long_as_udev_works() {
        let (fake, portals) = host_with_portals::<1>();
        fake.behave(|manners| {
            manners.find_multipaths = "yes";
            manners.udev_delay = Duration::from_secs(13);
        });
        let properties = all_paths(&portals, IQN, 1);
        let attachment = attach(&fake, &properties, &multipath());
        assert_eq!(attachment.path, "/dev/dm-0");
        fake.behave(|manners| manners.udev_delay = Duration::from_millis(2));
        detach(&fake, &properties, &multipath());
        fake.assert_clean();
    }

    /// MP-20: multipath is wished for, not enforced, and not there.
    #[test]
    fn mp_19_without_multipathd_a_disk_is_returned() {
        let (fake, portals) = host_with_portals::<2>();
        fake.behave(|manners| manners.multipathd = Multipathd::Absent);
        let properties = all_paths(&portals, IQN, 1);
        let attachment = connect(&fake, &properties, &multipath()).expect("multipath is not enforced");
        assert!(attachment.path.starts_with("/dev/sd"), "{attachment:?}");
        detach(&fake, &properties, &multipath());
        assert_eq!(fake.disks(), Vec::<String>::new());
    }

    #[test]
    fn mp_21_a_map_that_never_takes_io_is_not_handed_out() {
        let (fake, portals) = host_with_portals::<2>();
        fake.behave(|manners| manners.paths_ready = false);
        let impatient = settings(&json!({"use_multipath": true, "wait_mpath_device_attempts": 1}));
        let error = connect(&fake, &all_paths(&portals, IQN, 1), &impatient).expect_err("no path is ready");
        assert!(matches!(&error, Error::Timeout { what, .. } if what.contains("dm-0")), "{error:?}");
        fake.assert_clean();
    }

    /// DL: the data of a map that cannot be flushed may be in it alone.
    #[test]
    fn id_12_a_map_that_cannot_be_flushed_stays() {
        let (fake, portals) = host_with_portals::<2>();
        let properties = all_paths(&portals, IQN, 1);
        attach(&fake, &properties, &multipath());
        fake.trouble("del map", Trouble::Answer("fail\n"));
        let error = disconnect(&fake, &properties, &multipath()).expect_err("the map cannot be flushed");
        assert!(matches!(error, Error::InUse { .. }), "{error:?}");
        assert_eq!(fake.slaves(), ["sda", "sdb"], "after {}", fake.story());
        assert_eq!(fake.done("delete"), Vec::<String>::new());
        assert_eq!(fake.done("--logout"), Vec::<String>::new());
    }

    /// ID-13: everything goes, the error is told, nothing escapes.
    #[test]
    fn id_25_by_force_a_map_that_cannot_be_flushed_goes_after_its_paths() {
        let (fake, portals) = host_with_portals::<2>();
        let properties = all_paths(&portals, IQN, 1);
        attach(&fake, &properties, &multipath());
        fake.trouble("del map", Trouble::Answer("fail\n"));
        let (errors, took) = timed(|| disconnect_by_force(&fake, &properties, &multipath()));
        let errors = errors.expect("force goes on");
        assert!(errors.iter().any(|error| matches!(error, Error::InUse { .. })), "{errors:?}");
        assert!(took.own < Duration::from_secs(60), "{took:?}");
        assert!(!fake.done("disablequeueing map").is_empty());
        fake.assert_clean();
    }

    /// SE-08: used by something that does not let go: with force the paths go all the same.
    #[test]
    fn id_13_by_force_the_paths_under_a_map_in_use_go() {
        let (fake, portals) = host_with_portals::<2>();
        let properties = all_paths(&portals, IQN, 1);
        attach(&fake, &properties, &multipath());
        fake.build_on("dm-0", "dm-1", "luks", "CRYPT-LUKS2-abc");
        let (errors, took) = timed(|| disconnect_by_force(&fake, &properties, &multipath()));
        assert!(!errors.expect("force goes on").is_empty());
        assert!(took.own < Duration::from_secs(60), "{took:?}");
        assert_eq!(fake.disks(), Vec::<String>::new());
        assert!(portals.iter().all(|portal| !fake.has_session(portal, IQN)));
    }

    /// ID-26: not before the disks have gone and multipathd had its time.
    #[test]
    fn id_27_a_multipathd_that_does_not_forget_is_told_last() {
        let (fake, portals) = host_with_portals::<2>();
        let properties = all_paths(&portals, IQN, 1);
        attach(&fake, &properties, &multipath());
        fake.behave(|manners| manners.multipathd_forgets = false);
        fake.forget_journal();
        let (_, took) = timed(|| detach(&fake, &properties, &multipath()));
        assert!(took.wall > Duration::from_secs(5), "{took:?}");
        let lines = fake.journal();
        let told = lines.iter().position(|line| line.contains("del path")).expect("it was told");
        assert!(lines.iter().rposition(|line| line.contains("delete")).is_some_and(|deleted| deleted < told));
        assert_eq!(fake.done("del path").len(), 2, "after {}", fake.story());
        fake.assert_clean();
    }

    /// ID-01: a disk that takes its time is waited for.
    #[test]
    fn id_02_a_disk_that_goes_slowly_is_waited_for() {
        let (fake, portal) = host_with_volume();
        let properties = one_path(&portal, IQN, 1);
        attach(&fake, &properties, &single());
        fake.trouble("sda/device/delete", Trouble::Slow(Duration::from_secs(12)));
        detach(&fake, &properties, &single());
        assert_eq!(fake.done("--logout").len(), 1);
        fake.assert_clean();
    }

    /// The kernel says that all is well, and the disk stays.
    #[test]
    fn id_02_disks_that_stay_are_named() {
        let (fake, portal) = host_with_volume();
        fake.behave(|manners| manners.forms_maps = false);
        let properties = one_path(&portal, IQN, 1);
        attach(&fake, &properties, &single());
        fake.trouble("sda/device/delete", Trouble::Ignored);
        let error = disconnect(&fake, &properties, &single()).expect_err("the disk stays");
        assert_eq!(error, Error::PathsNotRemoved { paths: vec!["/dev/sda".to_owned()] });
        assert_eq!(fake.done("--logout"), Vec::<String>::new());
    }

    /// MP-14: what is refused for good is an error soon, and no size is returned.
    #[test]
    fn mp_15_a_map_that_may_not_grow_is_an_error() {
        let (fake, portals) = host_with_portals::<2>();
        let properties = all_paths(&portals, IQN, 1);
        attach(&fake, &properties, &multipath());
        fake.map_lun(IQN, 1, Volume::number(1).sized(2 * GIB));
        fake.trouble("resize map", Trouble::Answer("fail\n"));
        let (outcome, took) = timed(|| extend(&fake, &properties, &multipath()));
        assert!(matches!(outcome, Err(Error::Command(_))), "{outcome:?}");
        assert!(took.own < Duration::from_secs(100), "upstream goes on for 120 s: {took:?}");
    }

    /// A map larger than one of its paths loses what is written beyond the path's end.
    #[test]
    fn mp_13_paths_that_disagree_about_the_size_are_an_error() {
        let (fake, properties) = crate::extend::host_whose_paths_disagree();
        let error = extend(&fake, &properties, &multipath()).expect_err("one path did not grow");
        assert!(matches!(&error, Error::PathDown { reason } if reason.contains("disagree")), "{error:?}");
        assert_eq!(fake.done("resize"), Vec::<String>::new());
        assert_eq!(fake.machine.state().maps["dm-0"].size, GIB);
    }

    /// A session in recovery is iscsid's: no second login, the other portal serves.
    #[test]
    fn ic_29_a_session_in_recovery_is_not_logged_in_to_again() {
        let (fake, [first, second]) = host_with_portals();
        let sid = fake.log_in(&first, IQN);
        fake.machine.set_session_state(sid, "FAILED\n");
        attach(&fake, &all_paths(&[&first, &second], IQN, 1), &single());
        assert_eq!(fake.done(&format!("-p {first} --login")), Vec::<String>::new());
        assert_eq!(fake.disk(&second, IQN, 1).as_deref(), Some("sda"));
    }

    #[test]
    fn ic_27_a_login_without_a_session_is_a_failure() {
        let (fake, portal) = host_with_volume();
        fake.trouble("--login", Trouble::Ignored);
        let error = connect(&fake, &one_path(&portal, IQN, 1), &single()).expect_err("there is no session");
        assert!(error.to_string().contains("no session appeared"), "{error}");
        fake.assert_clean();
    }

    /// The database stays busy: its message is the error, and nothing else is done.
    #[test]
    fn ic_31_a_database_that_stays_busy_is_an_error() {
        let (fake, portal) = host_with_volume();
        fake.trouble("--op new", Trouble::Exit(6, "iscsiadm: Could not lock discovery DB"));
        let error = connect(&fake, &one_path(&portal, IQN, 1), &single()).expect_err("there is no record");
        assert!(error.to_string().contains("Could not lock discovery DB"), "{error}");
        assert_eq!(fake.done("--login"), Vec::<String>::new());
    }

    /// Who needs the record of another interface, or host, makes it meanwhile.
    #[test]
    fn ic_31_a_busy_database_holds_up_nobody_else() {
        let (busy, portal) = host_with_volume();
        busy.trouble("--op new", Trouble::Until(|state| state.let_go));
        let (other, portals) = host_with_portals::<2>();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| connect(&busy, &one_path(&portal, IQN, 1), &single()));
            busy.wait_for("its record being made", |state| state.count("--op new") == 1);
            attach(&other, &all_paths(&portals, IQN, 1), &multipath());
            assert!(!waits.is_finished(), "the other attach waited for the database");
            busy.let_go();
            waits.join().expect("no panic").expect("its record was made");
        });
    }

    /// All paths wait for one record, and none for longer than one.
    #[test]
    fn ic_31_paths_wait_for_a_busy_database_together() {
        let (fake, portals) = host_with_portals::<4>();
        fake.trouble("--op new", Trouble::Exit(6, "iscsiadm: Could not lock discovery DB"));
        let (outcome, took) = timed(|| connect(&fake, &all_paths(&portals, IQN, 1), &multipath()));
        outcome.expect_err("there is no record");
        assert!(took.own < Duration::from_secs(35), "4 paths, one after the other, 10 s each: {took:?}");
        fake.assert_clean();
    }

    /// It comes back after the detach: nobody wants it any more.  Tries are 2 s apart.
    #[test]
    fn a_portal_that_comes_back_after_the_detach_stays_alone() {
        let (fake, [first, second]) = host_with_portals();
        fake.stop_portal(&second);
        let properties = all_paths(&[&first, &second], IQN, 1);
        attach(&fake, &properties, &multipath());
        detach(&fake, &properties, &multipath());
        fake.start_portal(&second);
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(fake.done(&format!("-p {second} --login")), Vec::<String>::new());
        fake.assert_clean();
    }

    /// Nor does it join another volume that has the same LUN by then.
    #[test]
    fn a_late_path_of_a_detached_volume_does_not_join_its_successor() {
        let (fake, [first, second]) = host_with_portals();
        fake.stop_portal(&second);
        let properties = all_paths(&[&first, &second], IQN, 1);
        attach(&fake, &properties, &multipath());
        detach(&fake, &properties, &multipath());
        fake.map_lun(IQN, 1, Volume::number(2));
        attach(&fake, &one_path(&first, IQN, 1), &single());
        fake.start_portal(&second);
        std::thread::sleep(Duration::from_secs(5));
        assert!(!fake.has_session(&second, IQN));
    }

    /// udev is behind the kernel: the paths of a volume are waited for a little.
    #[test]
    fn ic_05_paths_that_udev_has_not_linked_yet_are_waited_for() {
        let (fake, portal) = host_with_volume();
        fake.behave(|manners| manners.udev_delay = Duration::from_secs(1));
        let properties = one_path(&portal, IQN, 1);
        connect(&fake, &properties, &single()).expect("the portal answers");
        assert_eq!(crate::check::volume_paths(&fake, &properties, &single()).len(), 1);
    }
}

/// A host nobody described: the tests above start from it and it starts clean.
#[test]
fn a_new_host_is_clean() {
    FakeHost::new().assert_clean();
}
