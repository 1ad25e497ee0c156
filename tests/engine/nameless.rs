//! A scan has brought a SCSI device and the kernel has not named its disk yet when the volume is to go again.

use std::time::Duration;

use os_brick_engine::error::Error;
use serde_json::json;

use crate::check::{IQN, all_paths, attach, connect, detach, multipath, one_path, settings, single};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::fc_check;
use crate::support::{FakeHost, Volume};
use crate::waiting::{Named, all_at_once, end_of};

fn one_scan() -> serde_json::Value {
    settings(&json!({"device_scan_attempts": 0}))
}

fn stops_naming(fake: &FakeHost) {
    fake.behave(|manners| {
        manners.names_disks = false;
        manners.disk_delay = Duration::ZERO;
    });
}

all_at_once! {
    /// On a session that others use the device would stay, and its disk would appear later.
    #[test]
    fn ic_27_a_failed_attach_takes_away_a_device_without_a_disk() {
        let (fake, portals) = host_with_portals::<2>();
        fake.map_lun(IQN, 2, Volume::number(2));
        let neighbour = all_paths(&portals, IQN, 2);
        attach(&fake, &neighbour, &multipath());
        let kept = fake.disks();
        stops_naming(&fake);
        let host = fake.host_number(&portals[0], IQN);
        let error = connect(&fake, &one_path(&portals[0], IQN, 1), &one_scan()).expect_err("there is no disk");
        assert!(matches!(error, Error::DeviceNotFound { .. }), "{error:?}");
        assert_eq!(fake.done("delete"), [format!("write 1 > /sys/bus/scsi/devices/{host}:0:0:1/delete")]);
        fake.name_disks();
        assert_eq!(fake.disks(), kept);
        detach(&fake, &neighbour, &multipath());
        fake.assert_clean();
    }

    /// The attach was killed right after its scan: the disk is waited for, and leaves as every disk does.
    #[test]
    fn ic_27_a_detach_waits_for_the_name_of_a_disk() {
        let (fake, portal) = host_with_volume();
        fake.log_in(&portal, IQN);
        stops_naming(&fake);
        fake.scan_in_nameless(&portal, IQN, 1);
        fake.name_disks_later(Duration::from_millis(200));
        detach(&fake, &one_path(&portal, IQN, 1), &single());
        assert_eq!(fake.done("delete"), ["write 1 > /sys/block/sda/device/delete"]);
        fake.assert_clean();
    }

    /// What has no name after a moment goes as a SCSI device.
    #[test]
    fn ic_27_a_detach_takes_away_a_device_that_gets_no_disk() {
        let (fake, portal) = host_with_volume();
        fake.map_lun(IQN, 2, Volume::number(2));
        let neighbour = one_path(&portal, IQN, 2);
        attach(&fake, &neighbour, &single());
        stops_naming(&fake);
        fake.scan_in_nameless(&portal, IQN, 1);
        let device = format!("{}:0:0:1", fake.host_number(&portal, IQN));
        detach(&fake, &one_path(&portal, IQN, 1), &single());
        assert_eq!(fake.done("delete"), [format!("write 1 > /sys/bus/scsi/devices/{device}/delete")]);
        assert_eq!(fake.disks(), ["sda"]);
        detach(&fake, &neighbour, &single());
        fake.assert_clean();
    }

    /// A controller at the LUN is no disk that is about to come.
    #[test]
    fn what_is_no_disk_is_left_alone() {
        let (fake, portal) = host_with_volume();
        fake.map_lun(IQN, 2, Volume::number(2));
        let neighbour = one_path(&portal, IQN, 2);
        attach(&fake, &neighbour, &single());
        stops_naming(&fake);
        fake.scan_in_nameless(&portal, IQN, 1);
        let host = fake.host_number(&portal, IQN);
        fake.tree().write(&format!("/sys/bus/scsi/devices/{host}:0:0:1/type"), "12\n");
        detach(&fake, &one_path(&portal, IQN, 1), &single());
        assert_eq!(fake.done("delete"), Vec::<String>::new());
    }

    #[test]
    fn fc_01_over_fibre_channel_it_goes_too() {
        let (fake, host) = fc_check::one_fabric();
        let properties = fc_check::volume(&[fc_check::W], 5);
        stops_naming(&fake);
        fc_check::connect(&fake, &properties, &one_scan()).expect_err("there is no disk");
        assert_eq!(fake.done("delete").len(), 1, "{}", fake.story());
        fake.assert_clean();
        fake.fc_scan_in_nameless(host, fc_check::W, 5);
        fake.name_disks_later(Duration::from_millis(200));
        fc_check::detach(&fake, &properties, &single());
        assert_eq!(fake.done("/sys/block/sda/device/delete").len(), 1);
        fake.assert_clean();
    }
}
