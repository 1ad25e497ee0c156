//! What udev leaves in by-id: cleared when its device is gone, spared when another device has the name.

use crate::check::{IQN, all_paths, attach, detach, multipath, one_path, single};
use crate::connect_single::{host_with_portals, host_with_volume};
use crate::support::Volume;

/// The next disk of the same name would get the identity.
#[test]
fn id_18_links_udev_left_are_removed() {
    let (fake, portal) = host_with_volume();
    fake.behave(|manners| {
        manners.forms_maps = false;
        manners.udev_removes_links = false;
    });
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    detach(&fake, &properties, &single());
    assert_eq!(fake.tree().names("/dev/disk/by-id"), Vec::<String>::new());
}

/// So would the next map.
#[test]
fn id_18_links_of_a_map_udev_left_are_removed() {
    let (fake, portals) = host_with_portals::<2>();
    let properties = all_paths(&portals, IQN, 1);
    attach(&fake, &properties, &multipath());
    assert!(fake.tree().names("/dev/disk/by-id").iter().any(|name| name.starts_with("dm-uuid-mpath-")));
    fake.behave(|manners| manners.udev_removes_links = false);
    detach(&fake, &properties, &multipath());
    assert_eq!(fake.tree().names("/dev/disk/by-id"), Vec::<String>::new());
}

/// A disk of another volume may have the name by then: its links stay.
#[test]
fn id_18_links_of_the_next_disk_with_the_name_stay() {
    let (fake, portal) = host_with_volume();
    fake.map_lun(IQN, 2, Volume::number(2));
    fake.behave(|manners| {
        manners.forms_maps = false;
        manners.udev_removes_links = false;
    });
    let properties = one_path(&portal, IQN, 1);
    attach(&fake, &properties, &single());
    std::thread::scope(|scope| {
        scope.spawn(|| detach(&fake, &properties, &single()));
        fake.wait_for("the first disk gone", |state| state.disks.is_empty());
        assert_eq!(attach(&fake, &one_path(&portal, IQN, 2), &single()).path, "/dev/sda");
    });
    let links = fake.tree().names("/dev/disk/by-id");
    let of_next = |name: &String| name.ends_with(&Volume::number(2).id()[1..]);
    assert!(!links.is_empty() && links.iter().all(of_next), "{links:?}");
}
