//! The door of Fibre Channel: properties of every kind, taken or refused with the name of the field.

use os_brick_engine::error::Error;
use os_brick_engine::identifiers::Wwpn;
use os_brick_engine::transports::fibre_channel::Request;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::fc_check::{HOST_A, HOST_B, W, X};
use crate::properties::{any_text, config, is_harmless};

const KEYS: [&str; 12] = [
    "target_wwn",
    "target_wwns",
    "target_lun",
    "target_luns",
    "initiator_target_map",
    "initiator_target_lun_map",
    "enable_wildcard_scan",
    "addressing_mode",
    "wwn",
    "scsi_wwn",
    "enforce_multipath",
    "access_mode",
];

fn read(properties: &Value) -> Result<Request, Error> {
    Request::read(properties.as_object().expect("an object"))
}

fn targets(properties: &Value) -> Vec<String> {
    read(properties).expect("good properties").targets.iter().map(ToString::to_string).collect()
}

/// FC-04: a single name or a list; FC-12: in any case and spelling.
#[test]
fn fc_12_names_are_taken_as_arrays_and_switches_write_them() {
    let expected = [format!("port {W} LUN 5")];
    for wwn in
        [json!(W), json!(W.to_uppercase()), json!([W]), json!(format!("0x{W}")), json!("50:06:01:60:3e:e0:00:01")]
    {
        assert_eq!(targets(&json!({"target_wwn": wwn, "target_lun": 5})), expected, "{wwn}");
        assert_eq!(targets(&json!({"target_wwns": wwn, "target_luns": ["5"], "target_wwn": X})), expected, "{wwn}");
    }
}

/// The pairs of ports and LUNs, also as upstream's callers leave them incomplete.
#[test]
fn lu_05_ports_and_luns_are_pairs() {
    assert_eq!(targets(&json!({"target_wwn": [W, X]})), [format!("port {W} LUN 0"), format!("port {X} LUN 0")]);
    assert_eq!(
        targets(&json!({"target_wwns": [W, X], "target_luns": [1, 2], "target_lun": 9})),
        [format!("port {W} LUN 1"), format!("port {X} LUN 2")]
    );
    assert_eq!(
        targets(&json!({"target_wwns": [W, X, W], "target_luns": [3], "target_lun": null})),
        [format!("port {W} LUN 3"), format!("port {X} LUN 3")]
    );
    for wrong in [
        json!({"target_wwns": [W, X], "target_luns": [1, 2, 3]}),
        json!({"target_wwn": W, "target_luns": [1, 2]}),
        json!({"target_lun": 1}),
        json!({"target_wwns": [], "target_wwn": []}),
    ] {
        assert!(matches!(read(&wrong), Err(Error::PathsNotFound { .. })), "{wrong}");
    }
}

/// FC-14: ports of the map that are no targets are left out; FC-13: None is no map.
#[test]
fn fc_14_a_map_may_name_more_than_the_targets() {
    let request = |map: Value| read(&json!({"target_wwn": [W], "target_lun": 5, "initiator_target_map": map}));
    let port: Wwpn = HOST_A.parse().expect("a name");
    let map = json!({HOST_A.to_uppercase(): [X, W.to_uppercase()], HOST_B: [X]});
    let with_map = request(map).expect("a good map");
    assert_eq!(with_map.targets_of(port), with_map.targets);
    assert_eq!(with_map.targets_of(HOST_B.parse().expect("a name")), []);
    for none in [Value::Null, json!({})] {
        let without = request(none).expect("no map");
        assert_eq!(without.initiators, None);
        assert_eq!(without.targets_of(port), without.targets);
    }
}

#[test]
fn fc_13_every_field_that_is_wrong_is_named() {
    for (field, wrong) in [
        ("target_wwn", json!("5006")),
        ("target_wwn", json!([W, 7])),
        ("target_wwns", json!(["$(reboot)00000000"])),
        ("target_lun", json!(-1)),
        ("target_luns", json!([1, "x"])),
        ("target_luns", json!("1")),
        ("initiator_target_map", json!([HOST_A])),
        ("initiator_target_map", json!({"host": [W]})),
        ("initiator_target_map", json!({HOST_A: [[W]]})),
        ("initiator_target_lun_map", json!({HOST_A: [W]})),
        ("initiator_target_lun_map", json!({HOST_A: [[W, "five"]]})),
        ("enable_wildcard_scan", json!("no")),
        ("addressing_mode", json!("SAM9")),
        ("wwn", json!(7)),
    ] {
        let mut properties = json!({"target_wwn": [W], "target_lun": 5});
        properties[field] = wrong.clone();
        match read(&properties) {
            Err(Error::InvalidRequest { field: named, .. }) => assert_eq!(named, field, "{wrong}"),
            other => panic!("{field} {wrong}: {other:?}"),
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = || {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any_text().prop_map(Value::from),
            "[0-9a-fA-F]{16}".prop_map(Value::from),
        ]
    };
    prop_oneof![
        3 => scalar(),
        2 => proptest::collection::vec(scalar(), 0..3).prop_map(Value::from),
        1 => ("[0-9a-f]{16}", proptest::collection::vec(scalar(), 0..3)).prop_map(|(key, value)| json!({key: value})),
        1 => (any_text(), "[0-9a-f]{16}", any::<u32>()).prop_map(|(key, port, lun)| json!({key: [[port, lun]]})),
    ]
}

proptest! {
    #![proptest_config(config())]

    /// X-09, SE-13: nothing but digits gets through, and what does prints as sysfs has it.
    #[test]
    fn x_09_a_name_that_is_taken_is_sixteen_digits(text in prop_oneof![any_text(), "(0x)?[0-9a-fA-F]{15,17}", "([0-9a-f]{2}:){7}[0-9a-f]{2}"]) {
        if let Ok(name) = text.parse::<Wwpn>() {
            let printed = name.to_string();
            prop_assert_eq!(printed.len(), 16);
            prop_assert!(is_harmless(&printed));
            let bare = text.to_lowercase().replace(':', "");
            let bare = bare.strip_prefix("0x").unwrap_or(&bare);
            prop_assert_eq!(&printed, bare);
            prop_assert_eq!(name.prefixed().parse::<Wwpn>(), Ok(name));
        }
    }

    #[test]
    fn fc_12_every_name_of_a_port_is_taken(number in 1_u64..) {
        let text = format!("{number:016x}");
        prop_assert_eq!(text.to_uppercase().parse::<Wwpn>().map(|name| name.to_string()), Ok(text));
    }

    /// X-09, SE-13: whatever the values, targets there are and their words are harmless, or an error names a field.
    #[test]
    fn se_13_no_properties_are_too_strange(values in proptest::collection::btree_map(proptest::sample::select(&KEYS[..]), any_value(), 0..6)) {
        let properties: Map<String, Value> = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        match Request::read(&properties) {
            Ok(request) => {
                prop_assert!(!request.targets.is_empty());
                for name in request.lock_names() {
                    prop_assert!(name.split(' ').all(is_harmless), "{}", name);
                }
            }
            Err(Error::InvalidRequest { field, .. }) => prop_assert!(KEYS.contains(&field.as_str()), "{}", field),
            Err(Error::PathsNotFound { .. }) => {}
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }
}
