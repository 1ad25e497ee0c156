//! Look-ups on a host with many volumes: N volumes with four paths each, N of 10, 100 and 1000.
//!
//! What a look-up costs must not grow faster than the host.  `cargo bench --no-default-features --bench scale`.

#![allow(clippy::disallowed_methods, reason = "makes the files of the host it measures")]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests")]
mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use os_brick_engine::host::view::{device_mapper, iscsi_session};
use os_brick_engine::inventory::{Answers, Inventory, find_orphans};
use os_brick_engine::transports::iscsi::{Request, volume_devices, volume_paths};
use os_brick_engine::transports::settings::Settings;
use serde_json::{Map, Value, json};

use support::storage::split_portal;
use support::{FakeHost, Volume};

const PATHS: usize = 4;
const SIZES: [usize; 3] = [10, 100, 1000];

/// A host with a target for each volume, as Cinder's LVM driver makes them, every path in its map.
struct ManyVolumes {
    fake: FakeHost,
    portals: Vec<String>,
    last: usize,
}

fn iqn(number: usize) -> String {
    format!("iqn.2010-10.org.openstack:volume-{number:08}")
}

impl ManyVolumes {
    fn new(count: usize) -> ManyVolumes {
        let fake = FakeHost::new();
        let portals: Vec<String> = (1..=PATHS).map(|n| fake.portal_elsewhere(&format!("10.0.0.{n}"), 3260)).collect();
        fake.behave(|manners| manners.multipathd = support::Multipathd::Absent);
        for number in 0..count {
            let iqn = iqn(number);
            fake.target(&iqn, &portals);
            fake.map_lun(&iqn, 1, Volume::naa(&format!("6001405{number:025x}")));
            add_volume(&fake, &iqn, &portals);
        }
        fake.settle();
        ManyVolumes { fake, portals, last: count - 1 }
    }

    fn properties(&self) -> Map<String, Value> {
        let iqn = iqn(self.last);
        let properties = json!({
            "target_portal": self.portals[0], "target_iqn": iqn, "target_lun": 1,
            "target_portals": self.portals, "target_iqns": vec![&iqn; PATHS], "target_luns": vec![1; PATHS],
        });
        properties.as_object().expect("an object").clone()
    }
}

fn add_volume(fake: &FakeHost, iqn: &str, portals: &[String]) {
    let mut state = fake.machine.state();
    let mut map = None;
    for portal in portals {
        let session = fake.machine.add_session(&mut state, portal, iqn);
        let disk = fake.machine.add_disk(&mut state, session.sid, 1).expect("the LUN maps a volume");
        let (address, port) = split_portal(portal);
        let link = format!("/dev/disk/by-path/ip-{address}:{port}-iscsi-{iqn}-lun-1");
        fake.tree().link(&link, &format!("/dev/{disk}"));
        match &map {
            None => {
                let wwid = state.disks[&disk].seen.id();
                map = Some(fake.machine.add_map(&mut state, &wwid, &disk));
            }
            Some(map) => fake.machine.add_slave(&mut state, map, &disk),
        }
    }
}

fn look_ups(criterion: &mut Criterion) {
    for count in SIZES {
        let many = ManyVolumes::new(count);
        let host = many.fake.host();
        let properties = many.properties();
        let request = Request::read(&properties).expect("good properties");
        let settings = Settings::read(&Map::new()).expect("defaults");
        let target = request.targets[0].clone();
        let disk = volume_devices(&host, &request, &settings).pop().expect("the volume is attached");
        assert_eq!(volume_paths(&host, &request, &settings).expect("looking cannot fail").len(), PATHS);

        let mut bench = |name: &str, work: &dyn Fn()| {
            criterion.bench_with_input(BenchmarkId::new(name, count), &(), |bencher, ()| bencher.iter(work));
        };
        bench("sessions_all", &|| drop(black_box(iscsi_session::all(&host.root))));
        bench("sessions_of_portal", &|| {
            drop(black_box(iscsi_session::of_portal(&host.root, &target.portal, &target.iqn)));
        });
        bench("map_over", &|| drop(black_box(device_mapper::map_over(&host.root, &disk))));
        bench("inventory", &|| drop(black_box(Inventory::read(&host.root))));
        let inventory = Inventory::read(&host.root);
        assert_eq!(inventory.paths().count(), count * PATHS);
        bench("orphans", &|| drop(black_box(find_orphans(&host.root, &inventory, &Answers::default()))));
        bench("volume_devices", &|| drop(black_box(volume_devices(&host, &request, &settings))));
        bench("volume_paths", &|| drop(black_box(volume_paths(&host, &request, &settings))));
    }
}

criterion_group! {
    name = scale;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    targets = look_ups
}
criterion_main!(scale);
