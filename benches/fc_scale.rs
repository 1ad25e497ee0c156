//! Look-ups on a host with many Fibre Channel volumes: N volumes behind 8 remote ports, N of 10, 100 and 1000.
//!
//! What a look-up costs must not grow faster than the host.  `cargo bench --no-default-features --bench fc_scale`.

#![allow(clippy::disallowed_methods, reason = "makes the files of the host it measures")]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests")]
mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use os_brick_engine::transports::fibre_channel::{Request, scan_plan, volume_devices, volume_paths};
use os_brick_engine::transports::settings::Settings;
use serde_json::{Map, json};

use support::{FakeHost, Multipathd, Volume};

const SIZES: [u64; 3] = [10, 100, 1000];
/// Four ports of the array in each of two fabrics.
const PORTS: usize = 8;

/// Every volume a LUN of all ports, every path in its map.
struct ManyVolumes {
    fake: FakeHost,
    hosts: Vec<u32>,
    ports: Vec<String>,
}

impl ManyVolumes {
    fn new(count: u64) -> ManyVolumes {
        let fake = FakeHost::new();
        fake.behave(|manners| {
            manners.multipathd = Multipathd::Absent;
            manners.udev_delay = Duration::ZERO;
        });
        let hosts = vec![fake.fc_host("10000090fa000001"), fake.fc_host("10000090fa000002")];
        let ports: Vec<String> = (0..PORTS).map(|number| format!("500601603ee0{number:04x}")).collect();
        ports.iter().enumerate().for_each(|(number, port)| {
            fake.fc_port(hosts[number % 2], port);
        });
        for lun in 1..=count {
            let volume = Volume::naa(&format!("6001405{lun:025x}"));
            fake.fc_map(&ports, lun, &volume);
            add_volume(&fake, lun, &volume);
        }
        fake.settle();
        ManyVolumes { fake, hosts, ports }
    }
}

fn add_volume(fake: &FakeHost, lun: u64, volume: &Volume) {
    let mut state = fake.machine.state();
    let mut map = None;
    for port in state.fabric.ports.clone() {
        let disk = fake.machine.add_fabric_disk(&mut state, &port, lun).expect("the LUN maps a volume");
        let link = state.disks[&disk].by_path.clone().expect("a disk has a path");
        fake.tree().link(&link, &format!("/dev/{disk}"));
        match &map {
            None => map = Some(fake.machine.add_map(&mut state, &volume.id(), &disk)),
            Some(map) => fake.machine.add_slave(&mut state, map, &disk),
        }
    }
}

fn look_ups(criterion: &mut Criterion) {
    for count in SIZES {
        let many = ManyVolumes::new(count);
        let host = many.fake.host();
        let properties = json!({"target_wwn": many.ports, "target_lun": count});
        let request = Request::read(properties.as_object().expect("an object")).expect("good properties");
        let settings = Settings::read(&Map::new()).expect("defaults");
        assert_eq!(volume_devices(&host, &request, &settings).len(), 1 + PORTS);
        assert_eq!(volume_paths(&host, &request, &settings).expect("looking cannot fail").len(), PORTS);

        let mut bench = |name: &str, work: &dyn Fn()| {
            criterion.bench_with_input(BenchmarkId::new(name, count), &(), |bencher, ()| bencher.iter(work));
        };
        bench("fc_volume_devices", &|| drop(black_box(volume_devices(&host, &request, &settings))));
        bench("fc_volume_paths", &|| drop(black_box(volume_paths(&host, &request, &settings))));
        bench("fc_scan_plan", &|| drop(black_box(scan_plan(&host, &request, &many.hosts))));
    }
}

criterion_group! {
    name = fc_scale;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    targets = look_ups
}
criterion_main!(fc_scale);
