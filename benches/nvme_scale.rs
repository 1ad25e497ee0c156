//! Look-ups on a host with 1,000 NVMe namespaces behind 64 controllers: 32 subsystems with two portals each.
//!
//! `cargo bench --no-default-features --bench nvme_scale`.

#![allow(clippy::disallowed_methods, reason = "makes the files of the host it measures")]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests")]
mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use os_brick_engine::host::view::{nvme_controller, nvme_subsystem};
use os_brick_engine::transports::nvmeof::{Request, volume_paths};
use os_brick_engine::transports::settings::Settings;
use serde_json::{Map, Value, json};

use support::FakeHost;
use support::nvme::Namespace;

const NAMESPACES: usize = 1000;
const SUBSYSTEMS: usize = 32;

fn nqn(number: usize) -> String {
    format!("nqn.2014-08.org.openstack:subsystem-{number:03}")
}

fn uuid(number: usize) -> String {
    format!("{number:08x}-1111-2222-3333-444444444444")
}

fn nguid(number: usize) -> String {
    format!("{number:08x}-0000-0000-0000-00000000beef")
}

/// Every second subsystem is of an array that gives its namespaces no UUID.
fn has_uuid(subsystem: usize) -> bool {
    subsystem.is_multiple_of(2)
}

fn many() -> FakeHost {
    let fake = FakeHost::nvme();
    for subsystem in 0..SUBSYSTEMS {
        let portals = [1, 2].map(|n| fake.portal_elsewhere(&format!("10.{n}.0.{}", subsystem + 1), 4420));
        fake.subsystem(&nqn(subsystem), &portals);
        for number in (subsystem..NAMESPACES).step_by(SUBSYSTEMS) {
            let nsid = u32::try_from(number / SUBSYSTEMS + 1).expect("a few");
            let namespace = Namespace {
                uuid: has_uuid(subsystem).then(|| uuid(number)),
                nguid: Some(nguid(number)),
                ..Namespace::number(0)
            };
            fake.map_namespace(&nqn(subsystem), nsid, namespace);
        }
        for portal in portals {
            fake.connected(&portal, &nqn(subsystem), "live");
        }
    }
    fake
}

fn properties(number: usize, key: &str, identity: Value) -> Map<String, Value> {
    let subsystem = number % SUBSYSTEMS;
    let portals = [1, 2].map(|n| json!([format!("10.{n}.0.{}", subsystem + 1), 4420, "tcp"]));
    let properties = json!({"target_nqn": nqn(subsystem), "portals": portals, key: identity});
    properties.as_object().expect("an object").clone()
}

fn look_ups(criterion: &mut Criterion) {
    let fake = many();
    let host = fake.host();
    let settings = Settings::read(&Map::new()).expect("defaults");
    let (last, with_uuid) = (NAMESPACES - 1, NAMESPACES - 2);
    let target = Request::read(&properties(last, "ns_id", json!(1))).expect("good properties").targets[0].clone();

    criterion.bench_function("subsystem_of_name", |bencher| {
        bencher.iter(|| black_box(nvme_subsystem::named(&host.root, &target.nqn).next()));
    });
    criterion.bench_function("controller_of_portal", |bencher| {
        bencher.iter(|| black_box(nvme_controller::of_portal(&host.root, &target.portals[1], &target.nqn, None)));
    });
    for (name, number, key, identity) in [
        ("uuid", with_uuid, "vol_uuid", json!(uuid(with_uuid))),
        ("nguid", last, "volume_nguid", json!(nguid(last))),
        ("nguid_beside_uuid", with_uuid, "volume_nguid", json!(nguid(with_uuid))),
        ("nsid", last, "ns_id", json!(last / SUBSYSTEMS + 1)),
    ] {
        let request = Request::read(&properties(number, key, identity)).expect("good properties");
        assert_eq!(volume_paths(&host, &request, &settings).expect("looking cannot fail").len(), 1, "{name}");
        criterion.bench_function(&format!("volume_paths_by_{name}"), |bencher| {
            bencher.iter(|| black_box(volume_paths(&host, &request, &settings)));
        });
    }
}

criterion_group! {
    name = scale;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    targets = look_ups
}
criterion_main!(scale);
