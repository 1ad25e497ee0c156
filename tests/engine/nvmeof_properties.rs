//! Properties of everything in NVMe-oF that takes text or bytes.

use os_brick_engine::host::programs::nvme::parse_size;
use os_brick_engine::host::view::nvme_controller::Controller;
use os_brick_engine::host::view::nvme_identify;
use os_brick_engine::host::view::nvme_namespace::device_of;
use os_brick_engine::identifiers::{FabricPortal, Nqn, Uuid};
use os_brick_engine::transports::nvmeof::Request;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::properties::{any_text, config, is_harmless};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
        Just(json!("nqn.2014-08.org:x")),
        Just(json!("10.0.0.1")),
        Just(json!(4420)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any_key(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "nqn",
        "target_portal",
        "target_port",
        "transport_type",
        "volume_nguid",
        "ns_id",
        "host_nqn",
        "vol_uuid",
        "target_nqn",
        "portals",
        "alias",
        "volume_replicas",
        "replica_count",
        "device_path",
        "enforce_multipath",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_nqn_that_is_taken_is_harmless_and_prints_as_it_was(text in prop_oneof![any_text(), "nqn\\.[ -~]{0,30}"]) {
        if let Ok(nqn) = text.parse::<Nqn>() {
            prop_assert_eq!(nqn.to_string(), text.clone());
            prop_assert!(is_harmless(&text) && !text.contains(','), "{}", text);
        }
    }

    /// NV-20
    #[test]
    fn nv_20_every_spelling_is_the_same_uuid(bytes in any::<[u8; 16]>()) {
        let uuid = Uuid::from_bytes(bytes);
        let text = uuid.to_string();
        prop_assert_eq!(text.len(), 36);
        for spelled in [text.clone(), text.replace('-', ""), text.to_uppercase(), format!("{{{text}}}"), format!("urn:uuid:{text}")] {
            prop_assert_eq!(spelled.parse::<Uuid>(), Ok(uuid));
        }
    }

    /// NV-18: whatever else the kernel says beside address and service.
    #[test]
    fn nv_18_the_portal_of_a_controller_is_the_one_of_the_properties(
        address in any::<[u8; 4]>(), port in 1_u16.., more in "(,(src_addr|host_traddr|host_iface)=[a-z0-9.]{1,9}){0,2}"
    ) {
        let address = std::net::Ipv4Addr::from(address).to_string();
        let asked = FabricPortal::read("portals", &address, &port.to_string(), "tcp").expect("it is one");
        let shown = FabricPortal::of_kernel("tcp", &format!("traddr={address},trsvcid={port}{more}"));
        prop_assert_eq!(shown.as_ref(), Some(&asked));
        prop_assert_ne!(FabricPortal::of_kernel("rdma", &format!("traddr={address},trsvcid={port}")), Some(asked));
    }

    #[test]
    fn an_address_that_is_taken_is_harmless(address in any_text(), port in any_text(), transport in any_text()) {
        if let Ok(portal) = FabricPortal::read("portals", &address, &port, &transport) {
            for part in [Some(portal.traddr()), portal.trsvcid()].into_iter().flatten() {
                prop_assert!(is_harmless(&part) && !part.contains(','), "{}", part);
            }
        }
    }

    #[test]
    fn any_address_of_a_kernel_is_read_or_passed_over(transport in any_text(), address in any_text()) {
        let _ = FabricPortal::of_kernel(&transport, &address);
    }

    /// NV-03, NV-21
    #[test]
    fn nv_21_a_path_is_its_device(subsystem in any::<u16>(), controller in any::<u16>(), namespace in any::<u16>()) {
        let device = format!("nvme{subsystem}n{namespace}");
        prop_assert_eq!(device_of(&format!("nvme{subsystem}c{controller}n{namespace}")).map(|d| d.to_string()), Some(device.clone()));
        prop_assert_eq!(device_of(&device).map(|d| d.to_string()), Some(device.clone()));
        prop_assert_eq!(device_of(&format!("{device}p1")), None);
    }

    #[test]
    fn any_name_is_a_device_or_none(text in any_text()) {
        if let Some(device) = device_of(&text) {
            prop_assert!(text.starts_with("nvme") && device.as_str().starts_with("nvme"));
        }
        if let Some(controller) = Controller::named(&text) {
            prop_assert!(text.trim_start_matches("nvme").parse::<u32>().is_ok(), "{}", controller.name());
        }
    }

    #[test]
    fn any_answer_of_a_controller_is_read(answer in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (nvme_identify::identities(&answer), nvme_identify::nguid(&answer), nvme_identify::size(&answer));
    }
}

/// Nested values take longer to make than to read.
fn fewer() -> ProptestConfig {
    let config = config();
    ProptestConfig { cases: config.cases.div_ceil(20), ..config }
}

proptest! {
    #![proptest_config(fewer())]

    #[test]
    fn any_output_of_nvme_is_read(text in any_text(), value in any_value()) {
        let _ = (parse_size(&text), parse_size(&value.to_string()));
    }

    #[test]
    fn any_properties_are_read_or_refused(
        fields in proptest::collection::vec((any_key(), any_value()), 0..8)
    ) {
        let fields: Map<String, Value> = fields.into_iter().collect();
        if let Ok(request) = Request::read(&fields) {
            prop_assert!(!request.targets.is_empty());
            prop_assert!(request.targets.iter().all(|target| !target.portals.is_empty()));
            prop_assert!(!request.lock_names().is_empty());
        }
    }
}
