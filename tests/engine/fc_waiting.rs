//! Tests of Fibre Channel that wait: for ports that are away, scans that bring nothing, maps that do not go.  All of them
//! wait at once, as those of `waiting` do.

use std::time::Duration;

use os_brick_engine::error::Error;
use os_brick_engine::transports::fibre_channel::Attachment;
use serde_json::json;

use crate::check::{merged, multipath, settings, single, timed};
use crate::fc_check::{
    HOST_A, W, X, Y, Z, attach, by_path, connect, detach, disconnect, mainframe, one_fabric, scan, scans, two_fabrics,
    units, volume,
};
use crate::support::{FakeHost, Multipathd, Trouble, Volume, log_book};
use crate::waiting::{Named, all_at_once, end_of};

all_at_once! {
    #[test]
    fn fc_09_without_wildcards_nothing_is_scanned() {
        let fake = FakeHost::new();
        fake.fc_host(HOST_A);
        let properties = merged(&volume(&[W], 5), &json!({"enable_wildcard_scan": false}));
        let error = connect(&fake, &properties, &single()).expect_err("there is no port");
        assert!(matches!(error, Error::FibreChannelDeviceNotFound { .. }), "{error:?}");
        assert_eq!(fake.journal(), Vec::<String>::new());
    }

    /// The log says the attempt's own number.
    #[test]
    fn fc_26_the_scan_is_repeated_as_often_as_configured() {
        log_book::open();
        let (fake, host) = one_fabric();
        let properties = volume(&[W], 77);
        let (outcome, took) = timed(|| connect(&fake, &properties, &settings(&json!({"device_scan_attempts": 3}))));
        let Error::FibreChannelDeviceNotFound { reason } = outcome.expect_err("there is no LUN 77") else {
            panic!("another error");
        };
        assert!(reason.contains("3 attempt(s)") && reason.contains("LUN 77"), "{reason}");
        assert_eq!(scans(&fake), vec![scan(host, "0 0 77"); 3]);
        assert!(took.wall >= Duration::from_secs(5) && took.own < Duration::from_secs(12), "{took:?}");
        let lines = log_book::lines_with("Will rescan & retry");
        assert!(lines.iter().any(|line| line.ends_with("Try number: 1.")), "{lines:?}");
        assert!(lines.iter().any(|line| line.ends_with("Try number: 2.")), "{lines:?}");
        fake.assert_clean();
    }

    /// A port that is blocked is no reason for wildcards, and is not waited for when others lead to the volume.
    #[test]
    fn a_blocked_port_is_not_scanned_and_joins_when_it_is_back() {
        let (fake, a, b) = two_fabrics();
        fake.fc_port_state(b, Y, "Blocked");
        let properties = volume(&[W, Y], 5);
        let patient = settings(&json!({"use_multipath": true, "portal_grace_period": 60.0}));
        let (attachment, took) = timed(|| attach(&fake, &properties, &patient));
        assert_eq!(attachment.multipath_id, Some(Volume::number(1).id()));
        assert!(took.own < Duration::from_secs(30), "the grace period is not for ports that are blocked: {took:?}");
        assert_eq!(scans(&fake), [scan(a, "0 0 5")]);
        fake.fc_port_state(b, Y, "Online");
        fake.wait_for("the other path", |state| state.maps.values().any(|map| map.slaves.len() == 2));
        assert_eq!(scans(&fake), [scan(a, "0 0 5"), scan(b, "0 0 5")]);
        detach(&fake, &properties, &multipath());
        fake.assert_clean();
    }

    /// Nothing may appear for a volume that was detached.
    #[test]
    fn a_port_that_is_back_after_the_detach_brings_nothing() {
        let (fake, _, b) = two_fabrics();
        fake.fc_port_state(b, Y, "Blocked");
        let properties = volume(&[W, Y], 5);
        attach(&fake, &properties, &multipath());
        detach(&fake, &properties, &multipath());
        fake.forget_journal();
        fake.fc_port_state(b, Y, "Online");
        std::thread::sleep(Duration::from_millis(2500));
        assert_eq!(fake.done("/scan"), Vec::<String>::new());
        fake.assert_clean();
    }

    /// The port is away for a moment; the attach finds it in its next attempt.
    #[test]
    fn a_port_that_comes_back_during_the_attach_is_used() {
        let (fake, host) = one_fabric();
        fake.fc_port_state(host, W, "Blocked");
        fake.machine
            .later(Duration::from_millis(700), move |machine, state| machine.set_port_state(state, host, W, "Online"));
        let (attachment, took) = timed(|| attach(&fake, &volume(&[W], 5), &settings(&json!({"device_scan_attempts": 3}))));
        assert_eq!(attachment.scsi_wwn, Volume::number(1).id());
        assert!(took.own < Duration::from_secs(3), "{took:?}");
    }

    /// Link down: the attach ends in bounded time, says why, and leaves nothing.
    #[test]
    fn an_attach_over_ports_that_are_away_ends() {
        let (fake, _, b) = two_fabrics();
        for (host, port) in [(2, W), (2, X), (b, Y), (b, Z)] {
            fake.fc_port_state(host, port, "Blocked");
        }
        let (outcome, took) = timed(|| connect(&fake, &volume(&[W, X, Y, Z], 5), &multipath()));
        let error = outcome.expect_err("no port is there");
        assert!(error.describe().contains("is not online"), "{}", error.describe());
        assert!(took.own < Duration::from_secs(6), "{took:?}");
        assert_eq!(fake.done("/scan"), Vec::<String>::new());
        fake.assert_clean();
    }

    /// A target that hangs in one fabric does not hold up the other, and a disk it brings later joins or goes.
    #[test]
    fn a_scan_that_hangs_holds_up_nobody() {
        let (fake, _, b) = two_fabrics();
        fake.trouble(&format!("host{b}/scan"), Trouble::Until(|state| state.let_go));
        let properties = volume(&[W, Y], 5);
        let quick = settings(&json!({"use_multipath": true, "portal_grace_period": 0.2}));
        let (attachment, took) = timed(|| connect(&fake, &properties, &quick).expect("one fabric is enough"));
        assert_eq!(attachment.multipath_id, Some(Volume::number(1).id()));
        assert!(took.own < Duration::from_secs(60), "the scan hangs for two minutes: {took:?}");
        // The detach waits for the scan: afterwards nothing appears.
        fake.machine.later(Duration::from_secs(2), |_, state| state.let_go = true);
        disconnect(&fake, &properties, &multipath(), None, false).expect("nobody uses it");
        assert!(fake.machine.state().let_go, "the detach did not wait");
        fake.settle();
        fake.assert_clean();
    }

    /// MP-07, MP-25: no map, so one of the disks, under its link.
    #[test]
    fn mp_07_without_multipathd_a_disk_is_handed_out() {
        let (fake, host, _) = two_fabrics();
        fake.behave(|manners| manners.multipathd = Multipathd::Absent);
        let (attachment, took) = timed(|| attach(&fake, &volume(&[W, X], 5), &multipath()));
        let expected = Attachment { path: by_path(host, W), scsi_wwn: Volume::number(1).id(), multipath_id: None };
        assert_eq!(attachment, expected);
        assert!(took.own < Duration::from_secs(25), "{took:?}");
    }

    /// FC-25: without force nothing goes, with it everything does and the errors are told.
    #[test]
    fn fc_25_a_map_that_does_not_go_is_kept_or_forced() {
        let (fake, ..) = two_fabrics();
        let properties = volume(&[W, Y], 5);
        attach(&fake, &properties, &multipath());
        fake.build_on("dm-0", "dm-9", "vg-lv", "LVM-abcdef");
        let error = disconnect(&fake, &properties, &multipath(), None, false).expect_err("LVM uses it");
        assert!(matches!(&error, Error::InUse { reason, .. } if reason.contains("vg-lv")), "{error:?}");
        assert_eq!(fake.disks().len(), 2);
        let (outcome, took) = timed(|| disconnect(&fake, &properties, &multipath(), None, true));
        assert!(!outcome.expect("force collects").is_empty());
        assert_eq!(fake.disks(), Vec::<String>::new());
        assert!(took.own < Duration::from_secs(40), "{took:?}");
    }

    /// links udev forgets, paths multipathd watches on.
    #[test]
    fn x_07_the_removal_is_the_one_all_protocols_share() {
        let (fake, _) = one_fabric();
        fake.behave(|manners| {
            manners.udev_removes_links = false;
            manners.multipathd_forgets = false;
            manners.forms_maps = false;
        });
        let properties = volume(&[W], 5);
        attach(&fake, &properties, &single());
        detach(&fake, &properties, &single());
        assert_eq!(fake.done("del path"), ["multipathd del path sda"]);
        assert_eq!(fake.tree().names("/dev/disk/by-id"), Vec::<String>::new());
    }

    /// What a failed attach made is gone when it raises, units included.
    #[test]
    fn on_ibm_z_a_failed_attach_leaves_no_unit() {
        let (fake, _) = mainframe();
        let (outcome, took) = timed(|| connect(&fake, &volume(&[W], 9), &settings(&json!({"device_scan_attempts": 1}))));
        outcome.expect_err("the LUN maps nothing");
        assert_eq!(units(&fake), 0);
        assert!(took.own < std::time::Duration::from_secs(6), "{took:?}");
        fake.assert_clean();
    }
}
