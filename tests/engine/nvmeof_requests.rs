//! Connection properties of NVMe-oF volumes: what is taken and what is refused.

use os_brick_engine::error::Error;
use os_brick_engine::host::view::nvme_namespace::Identity;
use os_brick_engine::transports::nvmeof::{Replicas, Request};
use serde_json::{Value, json};

use crate::check::merged;

const UUID: &str = "12345678-9abc-def0-1234-56789abcdef0";

fn read(properties: &Value) -> Result<Request, Error> {
    Request::read(properties.as_object().expect("properties are an object"))
}

fn new_format() -> Value {
    json!({"target_nqn": "nqn.2016-06.io.spdk:cnode1", "portals": [["10.0.0.1", 4420, "tcp"]], "vol_uuid": UUID})
}

fn old_format() -> Value {
    json!({"nqn": "nqn.2016-06.io.spdk:cnode1", "target_portal": "10.0.0.1", "target_port": "4420", "transport_type": "rdma"})
}

fn portals(properties: &Value) -> Vec<String> {
    let request = read(properties).unwrap_or_else(|error| panic!("{error}"));
    request.targets[0].portals.iter().map(ToString::to_string).collect()
}

/// NV-04, NV-07
#[test]
fn nv_07_transports_and_ports_are_read_as_drivers_write_them() {
    let listed = json!([
        ["10.0.0.1", 4420, "tcp"],
        ["10.0.0.2", "4420", "RoCEv2"],
        ["10.0.0.3", 4421, "rdma"],
        ["10.0.0.4", 4420, "TCP"],
        ["FD00:0::1", 4420, "tcp"],
        ["[fd00::2]", 4420, null],
        ["fd00::1", "4420", "tcp"],
        ["storage.example", 8009, ""],
        ["nn-0x20000025B5000001:pn-0x20000025b5000002", "none", "fc"],
        ["nn-0x20000025B5000001:pn-0x20000025b5000003", null, "fc"],
    ]);
    assert_eq!(
        portals(&merged(&new_format(), &json!({"portals": listed}))),
        [
            "tcp 10.0.0.1:4420",
            "rdma 10.0.0.2:4420",
            "rdma 10.0.0.3:4421",
            "tcp 10.0.0.4:4420",
            "tcp [fd00::1]:4420",
            "tcp [fd00::2]:4420",
            "tcp storage.example:8009",
            "fc nn-0x20000025b5000001:pn-0x20000025b5000002",
            "fc nn-0x20000025b5000001:pn-0x20000025b5000003",
        ]
    );
    assert_eq!(portals(&old_format()), ["rdma 10.0.0.1:4420"]);
    assert_eq!(read(&old_format()).expect("it is good").targets[0].nqn.as_str(), "nqn.2016-06.io.spdk:cnode1");
}

/// NV-19: the most trusted identity decides.
#[test]
fn nv_19_the_identity_is_the_uuid_before_the_nguid_before_the_number() {
    let identity = |more: Value| {
        let request = read(&merged(&new_format(), &more)).unwrap_or_else(|error| panic!("{error}"));
        request.targets[0].identity
    };
    let uuid = UUID.parse().expect("it is one");
    let more = json!({"volume_nguid": UUID, "ns_id": 3});
    assert_eq!(identity(more.clone()), Some(Identity::Uuid(uuid)));
    assert_eq!(identity(merged(&more, &json!({"vol_uuid": null}))), Some(Identity::Nguid(uuid)));
    assert_eq!(identity(json!({"vol_uuid": "", "volume_nguid": null, "ns_id": "3"})), Some(Identity::Nsid(3)));
    assert_eq!(identity(json!({"vol_uuid": null})), None);
    // Beside the old format it is Cinder's name of the volume.
    let old = read(&merged(&old_format(), &json!({"vol_uuid": UUID}))).expect("it is good");
    assert_eq!(old.targets[0].identity, None);
}

/// MD-01
#[test]
fn md_01_the_count_decides_what_a_volume_is() {
    let replicas = |count: Value, listed: usize| {
        let properties = json!({"volume_replicas": vec![new_format(); listed], "replica_count": count, "alias": "vol"});
        read(&properties).map(|request| request.replicas)
    };
    assert_eq!(replicas(json!(2), 1), Ok(Replicas::Mirror(2)));
    assert_eq!(replicas(json!("3"), 2), Ok(Replicas::Mirror(3)));
    assert_eq!(replicas(json!(1), 1), Ok(Replicas::One));
    assert_eq!(replicas(json!(0), 2), Ok(Replicas::Mirror(2)));
    assert_eq!(replicas(Value::Null, 1), Ok(Replicas::One));
    assert!(replicas(json!(1), 2).is_err());
    assert_eq!(read(&new_format()).expect("it is good").replicas, Replicas::None);
}

/// NV-07: named by field and value, before the host is touched.
#[test]
fn nv_07_what_makes_no_sense_is_refused() {
    let of_new: &[(&str, Value)] = &[
        ("target_nqn", json!("iqn.2010-10.org:x")),
        ("target_nqn", json!("nqn.a,hostnqn=nqn.b")),
        ("target_nqn", json!(5)),
        ("target_nqn", Value::Null),
        ("portals", json!([])),
        ("portals", json!("10.0.0.1:4420")),
        ("portals", json!([["10.0.0.1", 4420]])),
        ("portals", json!([["10.0.0.1", 0, "tcp"]])),
        ("portals", json!([["10.0.0.1", "http", "tcp"]])),
        ("portals", json!([["10.0.0.1", 70000, "tcp"]])),
        ("portals", json!([["10.0.0.1", null, "tcp"]])),
        ("portals", json!([["-a", 4420, "tcp"]])),
        ("portals", json!([["10.0.0.1,queue_size=1", 4420, "tcp"]])),
        ("portals", json!([[1, 4420, "tcp"]])),
        ("portals", json!([["10.0.0.1", 4420, 7]])),
        ("vol_uuid", json!("volume-1")),
        ("host_nqn", json!("host")),
        ("device_path", json!("nvme0n1")),
        ("alias", json!("../../etc")),
        ("volume_replicas", json!([])),
        ("volume_replicas", json!(["x"])),
    ];
    for (field, value) in of_new {
        let error = read(&merged(&new_format(), &json!({*field: value}))).expect_err(&value.to_string());
        let Error::InvalidRequest { field: named, .. } = &error else { panic!("{error:?}") };
        assert_eq!(named, field, "{error}");
    }
    for (field, value) in
        [("nqn", Value::Null), ("target_portal", json!(7)), ("target_port", json!("x")), ("ns_id", json!(-1))]
    {
        let error = read(&merged(&old_format(), &json!({field: value}))).expect_err(field);
        let Error::InvalidRequest { .. } = &error else { panic!("{error:?}") };
    }
}
