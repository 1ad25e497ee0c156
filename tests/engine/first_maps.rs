//! The first path of every volume becomes a map before the further paths of any are scanned.

use std::time::Duration;

use serde_json::{Value, json};

use crate::check::{IQN, all_paths, connect, detach, multipath, settings};
use crate::connect_single::host_with_portals;
use crate::fc_check::{self, HOST_A, HOST_B, W, Y};
use crate::support::{FakeHost, Volume};

/// Does not wait long for further paths.
fn hasty() -> Value {
    settings(&json!({"use_multipath": true, "portal_grace_period": 0.2}))
}

/// The host makes no map by itself; this makes the volume's, over the disk it has.
fn make_map(fake: &FakeHost, volume: &Volume) {
    let mut state = fake.machine.state();
    let mut disks = state.disks.iter();
    let (disk, _) = disks.find(|(_, disk)| disk.seen.udev_id == Some(volume.id())).expect("it was scanned");
    let disk = disk.clone();
    fake.machine.add_map(&mut state, &volume.id(), &disk);
    drop(state);
    fake.machine.announce();
}

fn scans(fake: &FakeHost) -> usize {
    fake.done("/scan").len()
}

/// The first volume's attach returns with one path while the second waits for its map; then the other paths follow.
fn shows_the_order(fake: &FakeHost, attaches: [&(dyn Fn() + Sync); 2]) {
    fake.behave(|manners| manners.forms_maps = false);
    let [first, second] = attaches;
    std::thread::scope(|scope| {
        let (one, two) = (scope.spawn(first), scope.spawn(second));
        fake.wait_for("a disk of both", |state| state.disks.len() == 2);
        make_map(fake, &Volume::number(1));
        one.join().expect("its map is enough");
        assert_eq!(scans(fake), 2, "{}", fake.story());
        fake.behave(|manners| manners.forms_maps = true);
        make_map(fake, &Volume::number(2));
        two.join().expect("its map is enough");
    });
    let complete = |map: &crate::support::machine::Map| map.slaves.len() == 2;
    fake.wait_for("all paths", |state| state.maps.len() == 2 && state.maps.values().all(complete));
    assert_eq!(scans(fake), 4);
}

#[test]
fn further_paths_follow_the_first_maps_of_all_volumes() {
    let (fake, portals) = host_with_portals::<2>();
    fake.map_lun(IQN, 2, Volume::number(2));
    let properties = [1, 2].map(|lun| all_paths(&portals, IQN, lun));
    let attach = |index: usize| {
        let (fake, properties) = (&fake, &properties);
        move || assert!(connect(fake, &properties[index], &hasty()).expect("attached").multipath_id.is_some())
    };
    shows_the_order(&fake, [&attach(0), &attach(1)]);
    properties.iter().for_each(|each| detach(&fake, each, &multipath()));
    fake.assert_clean();
}

#[test]
fn further_paths_of_fibre_channel_follow_the_first_maps_of_all_volumes() {
    let fake = FakeHost::new();
    for (host, port) in [(HOST_A, W), (HOST_B, Y)] {
        let host = fake.fc_host(host);
        fake.fc_port(host, port);
    }
    [1, 2].iter().for_each(|number| fake.fc_map(&[W, Y], u64::from(*number), &Volume::number(*number)));
    let properties = [1, 2].map(|lun| fc_check::volume(&[W, Y], lun));
    let attach = |index: usize| {
        let (fake, properties) = (&fake, &properties);
        move || {
            let attachment = fc_check::connect(fake, &properties[index], &hasty()).expect("attached");
            assert!(attachment.multipath_id.is_some());
        }
    };
    shows_the_order(&fake, [&attach(0), &attach(1)]);
    properties.iter().for_each(|each| fc_check::detach(&fake, each, &multipath()));
    fake.assert_clean();
}

/// An attach answers with the name udev gives the map: the work for other disks would delay that.
#[test]
fn further_paths_of_fibre_channel_follow_the_maps_name() {
    let (fake, ..) = fc_check::two_fabrics();
    fake.behave(|manners| manners.udev_delay = Duration::from_millis(400));
    let name = format!("/dev/disk/by-id/dm-uuid-mpath-{}", Volume::number(1).id());
    std::thread::scope(|scope| {
        let attach = scope.spawn(|| fc_check::connect(&fake, &fc_check::volume(&[W, Y], 5), &multipath()));
        fake.wait_for("the second scan", |state| state.count("/scan") == 2);
        assert!(fake.tree().exists(&name), "{}", fake.story());
        assert_eq!(attach.join().expect("no panic").expect("both ports are there").path, name);
    });
}
