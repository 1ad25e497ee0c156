//! NVMe-oF volumes that grow.

use std::time::Duration;

use os_brick_engine::error::Error;
use serde_json::json;

use crate::check::{merged, timed};
use crate::nvmeof_check::{NQN, attach, extend, host_with_volume, multipath, old, single, volume};
use crate::support::nvme::Namespace;
use crate::support::storage::GIB;
use crate::support::{FakeHost, Trouble};

/// NV-24, NV-25, X-13: the size of the storage, in blocks of any size, without the device's name.
#[test]
fn x_13_a_volume_with_blocks_of_four_kibibytes_grows_at_once() {
    for shift in [9, 12] {
        let (fake, portals) = host_with_volume::<2>();
        let namespace = Namespace { shift, ..Namespace::number(1) };
        fake.map_namespace(NQN, 1, namespace.clone());
        let properties = volume(NQN, &portals, 1);
        let disk = attach(&fake, &properties, &multipath()).replace("/dev/", "");
        fake.map_namespace(NQN, 1, namespace.sized(3 * GIB));
        let (size, took) = timed(|| extend(&fake, &properties));
        assert_eq!(size, Ok(3 * GIB));
        assert!(took.own < Duration::from_secs(8), "{took:?}");
        assert_eq!(fake.tree().read(&format!("/sys/block/{disk}/size")), Some((3 * GIB / 512).to_string()));
    }
}

/// NV-24: by `nvme id-ns`, also with several formats.
#[test]
fn nv_24_a_caller_gets_the_command() {
    for shift in [9, 12] {
        let fake = FakeHost::of_caller().with_nvme();
        let portal = fake.portal();
        fake.subsystem(NQN, &[&portal]);
        let namespace = Namespace { shift, ..Namespace::number(1) };
        fake.map_namespace(NQN, 1, namespace.clone());
        let properties = volume(NQN, &[&portal], 1);
        attach(&fake, &properties, &single());
        fake.map_namespace(NQN, 1, namespace.sized(2 * GIB));
        fake.forget_journal();
        assert_eq!(extend(&fake, &properties), Ok(2 * GIB));
        assert_eq!(fake.journal(), ["nvme id-ns -ojson /dev/nvme0n1", "nvme ns-rescan /dev/nvme0"]);
    }
}

/// NV-24: what the storage does not say is found by looking.
#[test]
fn nv_24_a_size_that_is_not_told_is_waited_for() {
    let (fake, [portal]) = host_with_volume();
    let properties = volume(NQN, &[&portal], 1);
    attach(&fake, &properties, &single());
    fake.map_namespace(NQN, 1, Namespace::number(1).sized(2 * GIB));
    fake.trouble("identify", Trouble::Refused);
    assert_eq!(extend(&fake, &properties), Ok(2 * GIB));
}

/// NV-24: the old format, with the device the caller remembers.
#[test]
fn nv_24_a_volume_of_the_old_format_grows() {
    let (fake, [portal]) = host_with_volume();
    let properties = old(NQN, &portal);
    let path = attach(&fake, &properties, &single());
    fake.map_namespace(NQN, 1, Namespace::number(1).sized(2 * GIB));
    let remembered = merged(&properties, &json!({"device_path": path}));
    assert_eq!(extend(&fake, &remembered), Ok(2 * GIB));
}

#[test]
fn a_volume_that_is_not_attached_is_not_extended() {
    let (fake, [portal]) = host_with_volume();
    let error = extend(&fake, &volume(NQN, &[&portal], 1)).expect_err("it is not attached");
    assert!(matches!(error, Error::DeviceNotFound { .. }), "{error:?}");
}

#[test]
fn a_volume_without_a_live_controller_is_not_extended() {
    let (fake, [portal]) = host_with_volume();
    let properties = volume(NQN, &[&portal], 1);
    attach(&fake, &properties, &single());
    fake.set_controller_state("nvme0", "connecting");
    let error = extend(&fake, &properties).expect_err("nobody can be asked");
    assert!(matches!(error, Error::PathDown { .. }), "{error:?}");
}
