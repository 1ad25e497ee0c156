//! A volume that grew on the storage.

use os_brick_engine::error::Error;

use crate::check::{IQN, IQN2, all_paths, attach, extend, multipath, one_path, single, volume_devices};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::storage::GIB;
use crate::support::{FakeHost, Trouble, Volume};

fn grow(fake: &FakeHost) {
    fake.map_lun(IQN, 1, Volume::number(1).sized(2 * GIB));
}

#[test]
fn mp_17_a_single_disk_grows_without_multipathd() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| manners.forms_maps = false);
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    grow(&fake);
    fake.forget_journal();
    assert_eq!(extend(&fake, &properties, &single()).expect("the disk is up"), 2 * GIB);
    assert_eq!(fake.journal(), ["write 1 > /sys/block/sda/device/rescan"]);
}

/// MP-14: every path is rescanned, and this map alone resized, by its kernel name.
#[test]
fn mp_13_every_path_and_the_map_grow() {
    let (fake, portals) = host_with_portals::<2>();
    fake.behave(|manners| manners.friendly_names = true);
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    grow(&fake);
    fake.forget_journal();
    assert_eq!(extend(&fake, &properties, &multipath()).expect("all paths are up"), 2 * GIB);
    let mut lines = fake.journal();
    lines.sort();
    assert_eq!(
        lines,
        [
            "multipathd resize map dm-0",
            "write 1 > /sys/block/sda/device/rescan",
            "write 1 > /sys/block/sdb/device/rescan"
        ]
    );
    assert_eq!(fake.machine.state().maps["dm-0"].size, 2 * GIB);
}

/// The sessions of a discovered volume, from its singular properties.
#[test]
fn x_06_a_discovered_volume_grows_on_every_path() {
    let (fake, portals) = host_with_portals::<3>();
    let properties = one_path(&portals[0], IQN, 1);
    attach(&fake, &properties, &multipath());
    grow(&fake);
    assert_eq!(extend(&fake, &properties, &multipath()).expect("all paths are up"), 2 * GIB);
    assert_eq!(fake.done("rescan").len(), 3);
    let mut devices = volume_devices(&fake, &properties, &single());
    assert_eq!(devices[0], "dm-0", "the map comes first");
    devices.sort();
    assert_eq!(devices, ["dm-0", "sda", "sdb", "sdc"]);
}

/// multipathd reconfigures and says `timeout` with success meanwhile.
#[test]
fn mp_15_a_busy_multipathd_is_asked_again() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    grow(&fake);
    fake.trouble_times(3, "resize map", Trouble::Answer("timeout\n"));
    assert_eq!(extend(&fake, &properties, &multipath()).expect("it answers in the end"), 2 * GIB);
    assert_eq!(fake.done("resize map").len(), 4);
}

/// A path that would come back with the old size.
#[test]
fn mp_16_a_path_that_is_down_stops_the_extend_before_anything_is_touched() {
    for breakage in ["state", "read"] {
        let (fake, portals) = host_with_portals::<2>();
        let properties = all_paths(&portals, IQN, 1);
        attach(&fake, &properties, &multipath());
        grow(&fake);
        if breakage == "state" {
            fake.tree().write("/sys/block/sdb/device/state", "transport-offline\n");
        } else {
            fake.tree().remove("/dev/sdb");
            fake.tree().directory("/dev/sdb");
        }
        fake.forget_journal();
        let error = extend(&fake, &properties, &multipath()).expect_err("sdb is down");
        assert!(matches!(&error, Error::PathDown { reason } if reason.contains("sdb")), "{error:?}");
        assert_eq!(fake.journal(), Vec::<String>::new());
    }
}

#[test]
fn ic_35_extending_a_volume_that_is_not_attached_is_an_error() {
    let (fake, portal) = host_with_volume();
    let error = extend(&fake, &one_path(&portal, IQN, 1), &single()).expect_err("it is not attached");
    assert!(matches!(error, Error::PathsNotFound { .. }), "{error:?}");
    assert_eq!(fake.journal(), Vec::<String>::new());
}

/// A volume that did not grow keeps its size, and the map is left alone.
#[test]
fn mp_13_nothing_is_resized_that_has_its_size() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    assert_eq!(extend(&fake, &properties, &multipath()).expect("all paths are up"), GIB);
    assert_eq!(fake.done("resize"), Vec::<String>::new());
}

/// A partition and a LUKS mapping on top have their own sizes.
#[test]
fn mp_13_what_is_built_on_the_map_does_not_confuse() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    fake.build_on("dm-0", "dm-1", "luks", "CRYPT-LUKS2-abc");
    grow(&fake);
    assert_eq!(extend(&fake, &properties, &multipath()).expect("all paths are up"), 2 * GIB);
}

/// Two targets that show one volume with two sizes; for the test of the engine's patience with them.
pub fn host_whose_paths_disagree() -> (FakeHost, serde_json::Value) {
    let fake = FakeHost::new();
    let portals = fake.portals::<2>();
    fake.target(IQN, &portals[..1]);
    fake.target(IQN2, &portals[1..]);
    fake.map_lun(IQN, 1, Volume::number(1));
    fake.map_lun(IQN2, 1, Volume::number(1));
    let properties = serde_json::json!({"target_portals": portals, "target_iqns": [IQN, IQN2], "target_luns": [1, 1]});
    attach(&fake, &properties, &multipath());
    grow(&fake);
    (fake, properties)
}
