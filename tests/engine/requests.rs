//! The door: properties and settings of every kind, taken or refused with the name of the field and no secret.

use os_brick_engine::error::Error;
use os_brick_engine::transports::iscsi::Request;
use os_brick_engine::transports::settings::Settings;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::check::{IQN, merged};
use crate::properties::{any_text, config, is_harmless};

const SECRET: &str = "pa55-nobody-says-this";

const KEYS: [&str; 17] = [
    "target_portal",
    "target_iqn",
    "target_lun",
    "target_portals",
    "target_iqns",
    "target_luns",
    "addressing_mode",
    "auth_method",
    "auth_username",
    "auth_password",
    "discovery_auth_method",
    "discovery_auth_username",
    "discovery_auth_password",
    "wwn",
    "scsi_wwn",
    "enforce_multipath",
    "access_mode",
];

const SETTINGS: [&str; 8] = [
    "use_multipath",
    "interface",
    "device_scan_attempts",
    "lock_path",
    "portal_grace_period",
    "enforce_identity",
    "wait_mpath_device_attempts",
    "wait_mpath_device_interval",
];

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => any_scalar(),
        1 => proptest::collection::vec(any_scalar(), 0..3).prop_map(Value::from),
        1 => ("[a-z_]{1,5}", any_scalar()).prop_map(|(key, value)| json!({key: [value]})),
    ]
}

fn portal() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (any::<[u8; 4]>(), 1_u16..).prop_map(|([a, b, c, d], port)| json!(format!("{a}.{b}.{c}.{d}:{port}"))),
        1 => Just(json!("[fd00::1]:3260")),
        1 => any_text().prop_map(Value::from),
    ]
}

fn iqn() -> impl Strategy<Value = Value> {
    prop_oneof![4 => "iqn\\.[a-z0-9:.-]{1,20}".prop_map(Value::from), 1 => any_text().prop_map(Value::from)]
}

fn lun() -> impl Strategy<Value = Value> {
    prop_oneof![4 => (0_u32..).prop_map(Value::from), 1 => "[0-9]{1,3}".prop_map(Value::from), 1 => any_json()]
}

/// What may stand under a key: mostly something plausible.
fn value_of(key: &'static str) -> BoxedStrategy<Value> {
    fn list(of: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
        proptest::collection::vec(of, 0..4).prop_map(Value::from).boxed()
    }
    let plausible = match key {
        "target_portal" => portal().boxed(),
        "target_iqn" => iqn().boxed(),
        "target_lun" => lun().boxed(),
        "target_portals" => list(portal()),
        "target_iqns" => list(iqn()),
        "target_luns" => list(lun()),
        "addressing_mode" => prop_oneof![Just("SAM2"), Just("SAM3-flat"), Just("SAM4")].prop_map(Value::from).boxed(),
        "auth_method" | "discovery_auth_method" => Just(json!("CHAP")).boxed(),
        "auth_password" | "discovery_auth_password" => {
            prop_oneof![Just(json!(SECRET)), Just(json!(format!("{SECRET}\n"))), Just(json!([SECRET]))].boxed()
        }
        _ => any_text().prop_map(Value::from).boxed(),
    };
    prop_oneof![5 => plausible, 1 => any_json()].boxed()
}

fn object(keys: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    let fields: Vec<_> = keys.iter().map(|key| proptest::option::weighted(0.6, value_of(key))).collect();
    fields.prop_map(move |values| {
        let present = keys.iter().zip(values).filter_map(|(key, value)| Some(((*key).to_owned(), value?)));
        present.collect()
    })
}

fn check_refusal(error: &Error, keys: &[&str]) -> Result<(), TestCaseError> {
    let Error::InvalidRequest { field, .. } = error else {
        return Err(TestCaseError::fail(format!("{error:?}")));
    };
    prop_assert!(keys.contains(&field.as_str()), "{:?} is no field", field);
    let said = format!("{error} {error:?} {}", error.describe());
    prop_assert!(said.contains(field.as_str()));
    prop_assert!(!said.contains(SECRET), "{}", said);
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    /// SE-05, SE-07: whatever comes with a secret.
    #[test]
    fn se_05_properties_are_taken_whole_or_refused_by_name(properties in object(&KEYS)) {
        match Request::read(&properties) {
            Ok(request) => {
                prop_assert!(!request.targets.is_empty());
                for target in request.targets.iter().chain(&request.named) {
                    prop_assert!(is_harmless(target.iqn.as_str()), "{}", target);
                    prop_assert!(is_harmless(&target.portal.to_string()), "{}", target);
                    prop_assert!(target.lun.kernel() <= u64::from(u32::MAX) + 0x4000);
                }
                let shown = format!("{request:?}");
                prop_assert!(!shown.contains(SECRET), "{}", shown);
            }
            Err(error) => check_refusal(&error, &KEYS)?,
        }
    }

    #[test]
    fn settings_are_taken_whole_or_refused_by_name(settings in object(&SETTINGS)) {
        match Settings::read(&settings) {
            Ok(settings) => {
                prop_assert!(settings.lock_path.is_absolute());
                prop_assert!(is_harmless(&settings.interface), "{}", settings.interface);
                prop_assert!((1..=100).contains(&settings.device_scan_attempts));
            }
            Err(error) => check_refusal(&error, &SETTINGS)?,
        }
    }

    #[test]
    fn any_object_is_no_reason_to_panic(
        fields in proptest::collection::btree_map("[a-z_]{1,16}|target_(portal|iqn)s?", any_json(), 0..4),
    ) {
        let fields: Map<String, Value> = fields.into_iter().collect();
        let _ = (Request::read(&fields), Settings::read(&fields));
    }
}

#[track_caller]
fn check_refused(change: &Value, field: &str) {
    let good = json!({"target_portal": "10.0.0.1:3260", "target_iqn": IQN, "target_lun": 1});
    let properties = merged(&good, change);
    let error = Request::read(properties.as_object().expect("an object")).expect_err("it is refused");
    assert!(matches!(&error, Error::InvalidRequest { field: named, .. } if named == field), "{change}: {error:?}");
}

/// IC-34: clear, and before anything is touched.
#[test]
fn ic_34_bad_properties_are_refused_by_name() {
    for portal in
        ["", " ", "10.0.0.1:3260 ", "10.0.0.1:x", "10.0.0.1:0", "10.0.0.1:65536", "a/b:1", "$(id):3260", "-p:3260"]
    {
        check_refused(&json!({"target_portal": portal}), "target_portal");
    }
    for iqn in ["", "volume-1", "iqn.a b", "iqn.a/../b", "iqn.a;reboot", "iqn.a\n", "iqn.$HOME", "iqn.\u{e9}"] {
        check_refused(&json!({"target_iqn": iqn}), "target_iqn");
    }
    for lun in
        [json!("one"), json!(""), json!(-1), json!(1.5), json!([1]), json!(4_294_967_296_u64), json!(true), json!(null)]
    {
        check_refused(&json!({"target_lun": lun}), "target_lun");
    }
    check_refused(&json!({"target_portals": [], "target_iqns": []}), "target_portals");
    check_refused(&json!({"target_portals": ["10.0.0.1:3260"], "target_iqns": [IQN, IQN]}), "target_iqns");
    let two =
        json!({"target_portals": ["10.0.0.1:3260", "10.0.0.2:3260"], "target_iqns": [IQN, IQN], "target_luns": [1]});
    check_refused(&two, "target_luns");
    check_refused(&json!({"target_portals": ["10.0.0.1:3260"], "target_iqns": [null]}), "target_iqns");
    check_refused(&json!({"target_portals": "10.0.0.1:3260", "target_iqns": [IQN]}), "target_portals");
    check_refused(&json!({"addressing_mode": "SAM4"}), "addressing_mode");
    check_refused(&json!({"auth_method": "CHAP", "auth_username": "u"}), "auth_password");
    check_refused(&json!({"auth_method": "CHAP", "auth_password": "p"}), "auth_username");
    check_refused(
        &json!({"auth_method": "CHAP\nnode.x = 1", "auth_username": "u", "auth_password": "p"}),
        "auth_method",
    );
}

#[test]
fn ic_34_properties_without_a_portal_or_a_name_are_refused() {
    for (properties, field) in [
        (json!({}), "target_portal"),
        (json!({"target_iqn": IQN}), "target_portal"),
        (json!({"target_portal": "10.0.0.1:3260"}), "target_iqn"),
        (json!({"target_portal": null, "target_iqn": null}), "target_portal"),
        (json!({"target_portal": null, "target_iqn": IQN}), "target_portal"),
        // Half a list, and the other half single.
        (json!({"target_portals": ["10.0.0.1:3260"], "target_iqn": IQN}), "target_iqns"),
        (json!({"target_portal": "10.0.0.1:3260", "target_iqns": [IQN]}), "target_portals"),
    ] {
        let error = Request::read(properties.as_object().expect("an object")).expect_err("it is refused");
        assert!(matches!(&error, Error::InvalidRequest { field: named, .. } if named == field), "{error:?}");
    }
}

/// A repeated path is one path.
#[test]
fn a_path_listed_twice_is_one() {
    let properties = json!({
        "target_portals": ["[fd00::1]:3260", "[FD00::1]:3260,1"], "target_iqns": [IQN, IQN], "target_luns": [1, "1"],
    });
    let request = Request::read(properties.as_object().expect("an object")).expect("good properties");
    assert_eq!(request.targets.len(), 1);
}
