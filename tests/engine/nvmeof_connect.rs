//! Attaching NVMe-oF volumes: the right namespace over the right controllers.

use std::time::Duration;

use os_brick_engine::error::Error;
use serde_json::json;

use crate::check::{merged, timed};
use crate::nvmeof_check::{
    NQN, NQN2, attach, connect, detach, disconnect, host_with_volume, listed, multipath, old, settings, single, volume,
};
use crate::support::nvme::{HOST_ID, HOST_NQN, Namespace, uuid};
use crate::support::storage::split_portal;
use crate::support::{FakeHost, Trouble};

/// NV-04, NV-22, NV-23: what the kernel is asked for, to the letter.
#[test]
fn nv_22_a_controller_that_is_lost_is_never_given_up() {
    let (fake, [portal]) = host_with_volume();
    assert_eq!(attach(&fake, &volume(NQN, &[&portal], 1), &single()), "/dev/nvme0n1");
    let (address, port) = split_portal(&portal);
    assert_eq!(
        fake.journal(),
        [format!(
            "fabrics nqn={NQN},transport=tcp,traddr={address},trsvcid={port},hostnqn={HOST_NQN},hostid={HOST_ID},\
             queue_size=128,ctrl_loss_tmo=-1"
        )]
    );
    detach(&fake, &volume(NQN, &[&portal], 1));
    fake.assert_no_nvme();
}

/// NV-38: a name of the host in the properties wins over the host's own, also for the id.
#[test]
fn nv_38_a_controller_of_another_host_name_is_another_controller() {
    let (fake, [portal]) = host_with_volume();
    fake.connected_as(&portal, NQN, "live", "nqn.2014-08.org.nvmexpress:uuid:99999999-0000-0000-0000-000000000000");
    let properties = volume(NQN, &[&portal], 1);
    assert_eq!(attach(&fake, &properties, &single()), "/dev/nvme0n1");
    assert_eq!(fake.controllers().len(), 2);
    detach(&fake, &properties);
    assert_eq!(fake.controllers().len(), 1, "the other one is not ours");
}

/// NV-38: a kernel that does not show the name leaves the portal to decide.
#[test]
fn nv_38_a_kernel_without_hostnqn_is_matched_by_the_portal() {
    let (fake, [portal]) = host_with_volume();
    fake.connected(&portal, NQN, "live");
    fake.tree().remove("/sys/devices/virtual/nvme-fabrics/ctl/nvme0/hostnqn");
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    assert_eq!(fake.done("fabrics nqn="), Vec::<String>::new());
}

/// NV-01: the namespace comes a little after the controller.
#[test]
fn nv_01_a_namespace_that_appears_later_is_found() {
    let (fake, [portal]) = host_with_volume();
    fake.connected(&fake.portal(), NQN2, "live");
    fake.nvme_state(|nvme| nvme.delay = Duration::from_millis(200));
    assert_eq!(attach(&fake, &volume(NQN, &[&portal], 1), &single()), "/dev/nvme1n1");
}

/// NV-01: and when the storage maps it only after the first look, the host looks again.
#[test]
fn nv_01_a_namespace_that_is_mapped_late_is_looked_for_again() {
    let (fake, [portal]) = host_with_volume();
    fake.nvme_state(|nvme| nvme.subsystems.get_mut(NQN).expect("it is there").hidden_looks = 1);
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    assert_eq!(fake.done("rescan_controller").len(), 1);
}

#[test]
fn nv_02_a_target_that_is_not_ready_is_asked_again() {
    let (fake, [portal]) = host_with_volume();
    fake.trouble_times(1, "fabrics", Trouble::Refused);
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    assert_eq!(fake.done("fabrics nqn=").len(), 2);
}

/// NV-03, NV-21: any number of digits; the path of a controller is never the device.
#[test]
fn nv_03_many_controllers_and_namespaces() {
    let (fake, [portal]) = host_with_volume();
    for number in 0..12 {
        let nqn = format!("nqn.2014-08.org:other-{number}");
        let other = fake.portal();
        fake.subsystem(&nqn, &[&other]);
        fake.connected(&other, &nqn, "live");
    }
    for number in 2..=12 {
        fake.map_namespace(NQN, u32::from(number), Namespace::number(number));
    }
    assert_eq!(attach(&fake, &volume(NQN, &[&portal], 12), &single()), "/dev/nvme12n12");
}

/// NV-21
#[test]
fn nv_21_the_device_of_a_multipath_namespace_has_no_controller_in_its_name() {
    let (fake, portals) = host_with_volume::<2>();
    let properties = volume(NQN, &portals, 1);
    // The number is that of the controller that was there first.
    let path = attach(&fake, &properties, &multipath());
    assert!(["/dev/nvme0n1", "/dev/nvme1n1"].contains(&path.as_str()), "{path}");
    assert_eq!(fake.tree().names("/sys/class/nvme-fabrics/ctl/nvme1").iter().filter(|n| n.contains("c1n")).count(), 1);
    assert_eq!(fake.controllers().len(), 2);
    detach(&fake, &properties);
    fake.assert_no_nvme();
}

/// NV-20: identities are compared as numbers.
#[test]
fn nv_20_identities_are_found_in_any_spelling() {
    let (fake, [portal]) = host_with_volume();
    fake.map_namespace(NQN, 2, Namespace::number(2));
    let spelled = uuid(2).replace('-', "").to_uppercase();
    let properties = merged(&volume(NQN, &[&portal], 1), &json!({"vol_uuid": spelled}));
    assert_eq!(attach(&fake, &properties, &single()), "/dev/nvme0n2");
    let nguid = merged(&old(NQN, &portal), &json!({"volume_nguid": "00000002-0000-0000-0000-00000000BEEF"}));
    assert_eq!(attach(&fake, &nguid, &single()), "/dev/nvme0n2");
    for nsid in [json!(2), json!("2")] {
        let by_number = merged(&old(NQN, &portal), &json!({"ns_id": nsid}));
        assert_eq!(attach(&fake, &by_number, &single()), "/dev/nvme0n2");
    }
}

/// NV-19: the UUID decides, whatever else is new.
#[test]
fn nv_19_an_identity_wins_over_what_is_new() {
    let (fake, [portal]) = host_with_volume();
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    fake.map_namespace(NQN, 2, Namespace::number(2));
    fake.map_namespace(NQN, 3, Namespace::number(3));
    assert_eq!(attach(&fake, &volume(NQN, &[&portal], 3), &single()), "/dev/nvme0n3");
}

/// NV-19: without an identity, what is new on the volume's own controllers, if it is one volume.
#[test]
fn nv_19_without_an_identity_the_one_new_namespace_is_the_volume() {
    let fake = FakeHost::nvme();
    let portals = fake.portals::<2>();
    fake.subsystem(NQN2, &portals[1..]);
    fake.map_namespace(NQN2, 1, Namespace::number(9));
    fake.subsystem(NQN, &portals[..1]);
    fake.map_namespace(NQN, 1, Namespace::number(1));
    fake.connected(&portals[1], NQN2, "live");
    let path = attach(&fake, &old(NQN, &portals[0]), &single());
    assert_eq!(path, "/dev/nvme1n1");
    disconnect(&fake, &old(NQN, &portals[0]), Some(&path), false).expect("nothing uses it");
    assert_eq!(fake.controllers().len(), 1);
}

#[test]
fn nv_19_without_an_identity_two_new_namespaces_are_refused() {
    let (fake, [portal]) = host_with_volume();
    fake.map_namespace(NQN, 2, Namespace::number(2));
    let settings = settings(&json!({"device_scan_attempts": 0}));
    let error = connect(&fake, &old(NQN, &portal), &settings).expect_err("nothing tells which it is");
    assert!(matches!(error, Error::DeviceNotFound { .. }), "{error:?}");
}

/// NV-12, NV-13, NV-14: another program was quicker.
#[test]
fn nv_12_a_connection_made_by_somebody_else_is_used() {
    let fake = FakeHost::of_caller().with_nvme();
    let portal = fake.portal();
    fake.subsystem(NQN, &[&portal]);
    fake.map_namespace(NQN, 1, Namespace::number(1));
    let (address, port) = split_portal(&portal);
    fake.trouble_times(
        1,
        "nvme connect",
        Trouble::Then(|machine, state| {
            let nqn = NQN.to_owned();
            let portal = state.nvme.subsystems[&nqn].portals[0].clone();
            let (address, port) = split_portal(&portal);
            let options = format!("nqn={nqn},transport=tcp,traddr={address},trsvcid={port},hostnqn={HOST_NQN}");
            machine.fabrics(state, &options).expect("it is there");
        }),
    );
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    assert_eq!(
        fake.done("nvme connect"),
        [format!("nvme connect -a {address} -s {port} -t tcp -n {NQN} -Q 128 -l -1")]
    );
}

/// NV-15: the kernel is bringing the connection back.
#[test]
fn nv_15_a_controller_that_reconnects_is_waited_for() {
    let (fake, [portal]) = host_with_volume();
    let controller = fake.connected(&portal, NQN, "connecting");
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| connect(&fake, &volume(NQN, &[&portal], 1), &single()));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(fake.journal(), Vec::<String>::new(), "nothing is done while the kernel tries");
        fake.set_controller_state(&controller, "live");
        assert_eq!(attach.join().expect("no panic"), Ok("/dev/nvme0n1".to_owned()));
    });
    assert_eq!(fake.done("fabrics nqn="), Vec::<String>::new());
}

/// NV-16: no second connection, but a look for new namespaces.
#[test]
fn nv_16_a_live_controller_is_used_and_looks_again() {
    let (fake, portals) = host_with_volume::<2>();
    fake.unmap_namespace(NQN, 1);
    let controller = fake.connected(&portals[0], NQN, "live");
    fake.map_namespace(NQN, 1, Namespace::number(1));
    let properties = volume(NQN, &portals, 1);
    attach(&fake, &properties, &single());
    let done: Vec<String> = fake.journal().into_iter().filter(|line| !line.starts_with("identify")).collect();
    assert_eq!(done, [format!("write 1 > /sys/class/nvme-fabrics/ctl/{controller}/rescan_controller")]);
    attach(&fake, &properties, &multipath());
    assert_eq!(fake.done("fabrics nqn=").len(), 1, "with multipath the missing portal is connected");
}

/// NV-19: a number that maps another volume now, which the host has not noticed.
#[test]
fn nv_19_a_leftover_of_another_volume_is_not_the_volume() {
    let (fake, [portal]) = host_with_volume();
    fake.connected(&portal, NQN, "live");
    // The storage gave number 1 to another volume and the volume number 5, and announced neither.
    fake.nvme_state(|nvme| nvme.delay = Duration::from_secs(2));
    fake.map_namespace(NQN, 1, Namespace::number(7));
    fake.map_namespace(NQN, 5, Namespace::number(1));
    assert_eq!(attach(&fake, &volume(NQN, &[&portal], 1), &single()), "/dev/nvme0n2");
    assert!(!fake.done("identify /dev/nvme0 1 0x03").is_empty());
}

/// NV-40
#[test]
fn nv_40_without_native_multipath_one_portal_is_connected() {
    let (fake, portals) = host_with_volume::<2>();
    fake.without_native_multipath();
    assert_eq!(attach(&fake, &volume(NQN, &portals, 1), &multipath()), "/dev/nvme0n1");
    assert_eq!(fake.controllers().len(), 1);
}

/// MP-20, NV-40
#[test]
fn mp_20_enforced_multipath_that_the_kernel_does_not_do_is_refused() {
    let (fake, portals) = host_with_volume::<2>();
    fake.without_native_multipath();
    let properties = merged(&volume(NQN, &portals, 1), &json!({"enforce_multipath": true}));
    let error = connect(&fake, &properties, &multipath()).expect_err("it is enforced");
    assert!(matches!(error, Error::MultipathUnavailable { .. }), "{error:?}");
    assert_eq!(fake.journal(), Vec::<String>::new());
}

/// NV-02: the next portal is used when one is dead.
#[test]
fn a_dead_portal_leads_to_the_next() {
    let fake = FakeHost::nvme();
    let portals = [fake.dead_portal(), fake.portal()];
    fake.subsystem(NQN, &portals);
    fake.map_namespace(NQN, 1, Namespace::number(1));
    attach(&fake, &volume(NQN, &portals, 1), &single());
    assert_eq!(fake.controller_of(&portals[1], NQN).as_deref(), Some("nvme0"));
    assert_eq!(fake.done("fabrics nqn=").len(), 1, "the kernel is not asked for a dead portal");
}

#[test]
fn a_slow_portal_is_waited_for_no_longer_than_the_grace_period() {
    let (fake, portals) = host_with_volume::<2>();
    let (address, _) = split_portal(&portals[1]);
    fake.trouble(&format!("fabrics nqn={NQN},transport=tcp,traddr={address},"), Trouble::Until(|state| state.let_go));
    let properties = volume(NQN, &portals, 1);
    let patient = settings(&json!({"use_multipath": true, "portal_grace_period": 0.2}));
    let (path, took) = timed(|| attach(&fake, &properties, &patient));
    assert_eq!(path, "/dev/nvme0n1");
    assert!(took.own < Duration::from_secs(60), "the portal is silent for two minutes: {took:?}");
    // A detach waits for the path that is on its way, and then takes it away as well.
    fake.machine.later(Duration::from_secs(1), |_, state| state.let_go = true);
    detach(&fake, &properties);
    assert!(fake.machine.state().let_go, "the detach did not wait");
    fake.assert_no_nvme();
}

#[test]
fn what_a_failed_attach_connected_is_disconnected() {
    let (fake, portals) = host_with_volume::<2>();
    fake.unmap_namespace(NQN, 1);
    let impatient = settings(&json!({"use_multipath": true, "device_scan_attempts": 0}));
    let error = connect(&fake, &volume(NQN, &portals, 1), &impatient).expect_err("the volume is not mapped");
    assert!(matches!(error, Error::DeviceNotFound { .. }), "{error:?}");
    fake.assert_no_nvme();
}

/// NV-09: a failed attach does not drop a subsystem others use.
#[test]
fn nv_09_a_failed_attach_leaves_the_neighbours_controller() {
    let (fake, portals) = host_with_volume::<2>();
    attach(&fake, &volume(NQN, &portals, 1), &multipath());
    let impatient = settings(&json!({"use_multipath": true, "device_scan_attempts": 0}));
    connect(&fake, &volume(NQN, &portals, 2), &impatient).expect_err("the volume is not mapped");
    assert_eq!(fake.controllers().len(), 2);
}

#[test]
fn attaches_at_once_share_the_controllers() {
    let (fake, portals) = host_with_volume::<2>();
    for number in 2..=6 {
        fake.map_namespace(NQN, u32::from(number), Namespace::number(number));
    }
    std::thread::scope(|scope| {
        let (fake, portals) = (&fake, &portals);
        let threads: Vec<_> = (1..=6)
            .map(|number| scope.spawn(move || attach(fake, &volume(NQN, portals, number), &multipath())))
            .collect();
        let mut paths: Vec<String> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        paths.sort();
        assert_eq!(paths, (1..=6).map(|n| format!("/dev/nvme0n{n}")).collect::<Vec<_>>());
    });
    assert_eq!(fake.done("fabrics nqn=").len(), 2, "one connection for each portal");
}

#[test]
fn a_namespace_the_storage_does_not_serve_yet_is_waited_for() {
    let (fake, portals) = host_with_volume::<2>();
    fake.map_namespace(NQN, 1, Namespace { ana: Some("inaccessible"), ..Namespace::number(1) });
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| connect(&fake, &volume(NQN, &portals, 1), &multipath()));
        fake.wait_for("both controllers", |state| state.nvme.controllers.len() == 2);
        std::thread::sleep(Duration::from_millis(100));
        assert!(!attach.is_finished());
        fake.map_namespace(NQN, 1, Namespace { ana: Some("optimized"), ..Namespace::number(1) });
        let mut state = fake.machine.state();
        fake.machine.look_for_namespaces(&mut state, 1);
        drop(state);
        let path = attach.join().expect("no panic").expect("the storage serves it");
        // The number is that of the controller that was there first.
        assert!(["/dev/nvme0n1", "/dev/nvme1n1"].contains(&path.as_str()), "{path}");
    });
}

/// PX-10: in upstream's words.
#[test]
fn px_10_a_callers_executor_gets_every_command() {
    let fake = FakeHost::of_caller().with_nvme();
    let portal = fake.portal();
    fake.subsystem(NQN, &[&portal]);
    fake.map_namespace(NQN, 1, Namespace::number(1));
    let host = "nqn.2014-08.org:host";
    let properties = merged(&volume(NQN, &[&portal], 1), &json!({"host_nqn": host}));
    let (address, port) = split_portal(&portal);
    attach(&fake, &properties, &single());
    attach(&fake, &properties, &single());
    detach(&fake, &properties);
    assert_eq!(
        fake.journal(),
        [
            format!("nvme connect -a {address} -s {port} -t tcp -n {NQN} -Q 128 -l -1 -q {host}"),
            "nvme ns-rescan /dev/nvme0".to_owned(),
            "blockdev --flushbufs /dev/nvme0n1".to_owned(),
            "nvme disconnect -d /dev/nvme0".to_owned(),
        ]
    );
    fake.assert_no_nvme();
}

/// Keys and options nvme-cli was configured with are its business.
#[test]
fn a_configuration_of_nvme_cli_is_left_to_it() {
    let (fake, [portal]) = host_with_volume();
    fake.tree().write("/etc/nvme/config.json", "[]");
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    assert_eq!(fake.done("nvme connect").len(), 1);
    assert_eq!(fake.done("fabrics nqn="), Vec::<String>::new());
}

#[test]
fn a_missing_fabrics_device_is_a_module_that_is_not_loaded() {
    let (fake, [portal]) = host_with_volume();
    fake.tree().remove("/dev/nvme-fabrics");
    attach(&fake, &volume(NQN, &[&portal], 1), &single());
    assert_eq!(fake.done("modprobe"), ["modprobe nvme-fabrics"]);
}

/// The old format's transport and port in all their forms.
#[test]
fn nv_07_every_format_leads_to_the_volume() {
    let (fake, [portal]) = host_with_volume();
    let (address, port) = split_portal(&portal);
    for properties in [
        volume(NQN, &[&portal], 1),
        merged(&old(NQN, &portal), &json!({"ns_id": 1})),
        json!({"target_nqn": NQN, "portals": [[address, port, "anything"]], "vol_uuid": null, "ns_id": 1}),
        json!({
            "volume_replicas": [{"target_nqn": NQN, "portals": [listed(&portal)], "vol_uuid": uuid(1)}],
            "replica_count": 1, "alias": "vol", "vol_uuid": uuid(200),
        }),
    ] {
        assert_eq!(attach(&fake, &properties, &single()), "/dev/nvme0n1", "{properties}");
        detach(&fake, &properties);
        fake.assert_no_nvme();
    }
}
