//! One entry for each boundary of the engine: plain values in, the engine's own answers out.

use std::path::Path;
use std::time::{Duration, Instant};

use os_brick_engine::error::{Error, Result};
use os_brick_engine::transports::iscsi::{self, Attachment, Request};
use os_brick_engine::transports::settings::Settings;
use serde_json::{Map, Value, json};

use crate::support::{FakeHost, witness};

pub const IQN: &str = "iqn.2010-10.org.openstack:volume-1";
pub const IQN2: &str = "iqn.2010-10.org.openstack:volume-2";

/// What the connector hands over when nothing is configured, with patience for a machine that is very busy: tests of
/// portals that do not answer name a grace period of their own.
pub fn settings(more: &Value) -> Value {
    merged(&json!({"lock_path": "/locks", "portal_grace_period": 60.0, "device_scan_attempts": 1}), more)
}

pub fn multipath() -> Value {
    settings(&json!({"use_multipath": true}))
}

pub fn single() -> Value {
    settings(&json!({}))
}

/// The one object with the other's fields.
pub fn merged(one: &Value, other: &Value) -> Value {
    let mut all = one.clone();
    let fields = all.as_object_mut().expect("properties are an object");
    fields.extend(other.as_object().expect("properties are an object").clone());
    all
}

/// Properties that name one path.
pub fn one_path(portal: &str, iqn: &str, lun: u64) -> Value {
    json!({"target_portal": portal, "target_iqn": iqn, "target_lun": lun})
}

/// Properties that list every path, all to one target and LUN, and name the first.
pub fn all_paths<S: AsRef<str>>(portals: &[S], iqn: &str, lun: u64) -> Value {
    let portals: Vec<&str> = portals.iter().map(AsRef::as_ref).collect();
    json!({
        "target_portal": portals[0], "target_iqn": iqn, "target_lun": lun,
        "target_portals": portals, "target_iqns": vec![iqn; portals.len()], "target_luns": vec![lun; portals.len()],
    })
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("properties are an object")
}

fn perform<T>(fake: &FakeHost, properties: &Value, settings: &Value, work: Work<'_, T>) -> Result<T> {
    let request = Request::read(object(properties))?;
    let settings = Settings::read(object(settings))?;
    work(&fake.host(), &request, &settings)
}

type Work<'a, T> = &'a dyn Fn(&os_brick_engine::host::Host, &Request, &Settings) -> Result<T>;

pub fn connect(fake: &FakeHost, properties: &Value, settings: &Value) -> Result<Attachment> {
    perform(fake, properties, settings, &iscsi::connect)
}

pub fn disconnect(fake: &FakeHost, properties: &Value, settings: &Value) -> Result<Vec<Error>> {
    perform(fake, properties, settings, &|host, request, settings| {
        iscsi::disconnect(host, request, settings, None, false)
    })
}

pub fn disconnect_by_force(fake: &FakeHost, properties: &Value, settings: &Value) -> Result<Vec<Error>> {
    perform(fake, properties, settings, &|host, request, settings| {
        iscsi::disconnect(host, request, settings, None, true)
    })
}

/// With the device the caller was given.
pub fn disconnect_device(fake: &FakeHost, properties: &Value, settings: &Value, device: &str) -> Result<Vec<Error>> {
    let device = Path::new(device);
    perform(fake, properties, settings, &|host, request, settings| {
        iscsi::disconnect(host, request, settings, Some(device), false)
    })
}

pub fn extend(fake: &FakeHost, properties: &Value, settings: &Value) -> Result<u64> {
    perform(fake, properties, settings, &iscsi::extend)
}

pub fn volume_paths(fake: &FakeHost, properties: &Value, settings: &Value) -> Vec<String> {
    let paths = perform(fake, properties, settings, &iscsi::volume_paths).expect("looking cannot fail");
    paths.iter().map(|path| path.display().to_string()).collect()
}

pub fn volume_devices(fake: &FakeHost, properties: &Value, settings: &Value) -> Vec<String> {
    let devices = perform(fake, properties, settings, &|host, request, settings| {
        Ok(iscsi::volume_devices(host, request, settings))
    });
    devices.expect("looking cannot fail").iter().map(ToString::to_string).collect()
}

/// Attaches, and lets udev and multipathd do what they do after it.
#[track_caller]
pub fn attach(fake: &FakeHost, properties: &Value, settings: &Value) -> Attachment {
    match connect(fake, properties, settings) {
        Ok(attachment) => {
            fake.settle();
            attachment
        }
        Err(error) => panic!("the attach failed: {}\nafter {}", error.describe(), fake.story()),
    }
}

/// Detaches without an error, and without anything left on the host.
#[track_caller]
pub fn detach(fake: &FakeHost, properties: &Value, settings: &Value) {
    match disconnect(fake, properties, settings) {
        Ok(errors) => assert_eq!(errors, [], "only a forced detach collects errors"),
        Err(error) => panic!("the detach failed: {}\nafter {}", error.describe(), fake.story()),
    }
}

/// How long something took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// By the clock on the wall: at least so long.
    pub wall: Duration,
    /// Without what a starved machine kept from everybody (`witness`): no longer than that.
    pub own: Duration,
}

/// What came of something, and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let (start, witnessed) = (Instant::now(), witness::clock());
    let outcome = work();
    (outcome, Took { wall: start.elapsed(), own: witness::clock() - witnessed })
}
