//! One entry for each boundary of NVMe-oF: plain values in, the engine's own answers out.

use std::path::Path;

use os_brick_engine::error::{Error, Result};
use os_brick_engine::host::Host;
use os_brick_engine::transports::nvmeof::{self, Request};
use os_brick_engine::transports::settings::Settings;
use serde_json::{Map, Value, json};

use crate::check::merged;
use crate::support::FakeHost;
use crate::support::nvme::{Namespace, uuid};
use crate::support::storage::split_portal;

pub const NQN: &str = "nqn.2014-08.org.nvmexpress:uuid:volume-1";
pub const NQN2: &str = "nqn.2014-08.org.nvmexpress:uuid:volume-2";

/// What the connector hands over when nothing is configured, with patience for a machine that is busy.
pub fn settings(more: &Value) -> Value {
    merged(&json!({"lock_path": "/locks", "portal_grace_period": 5.0, "device_scan_attempts": 3}), more)
}

pub fn multipath() -> Value {
    settings(&json!({"use_multipath": true}))
}

pub fn single() -> Value {
    settings(&json!({}))
}

/// A portal as the properties list it: address, port, transport.
pub fn listed(portal: &str) -> Value {
    let (address, port) = split_portal(portal);
    json!([address, port.to_string(), "tcp"])
}

/// The new format, for one of the namespaces tests use.
pub fn volume<S: AsRef<str>>(nqn: &str, portals: &[S], number: u8) -> Value {
    let portals: Vec<Value> = portals.iter().map(|portal| listed(portal.as_ref())).collect();
    json!({"target_nqn": nqn, "portals": portals, "vol_uuid": uuid(number)})
}

/// The old format, without anything that names the namespace.
pub fn old(nqn: &str, portal: &str) -> Value {
    let (address, port) = split_portal(portal);
    json!({"nqn": nqn, "target_portal": address, "target_port": port, "transport_type": "tcp"})
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("properties are an object")
}

type Work<'a, T> = &'a dyn Fn(&Host, &Request, &Settings) -> Result<T>;

fn perform<T>(fake: &FakeHost, properties: &Value, settings: &Value, work: Work<'_, T>) -> Result<T> {
    let request = Request::read(object(properties))?;
    let settings = Settings::read(object(settings))?;
    work(&fake.host(), &request, &settings)
}

pub fn connect(fake: &FakeHost, properties: &Value, settings: &Value) -> Result<String> {
    perform(fake, properties, settings, &nvmeof::connect).map(|attachment| attachment.path)
}

pub fn disconnect(fake: &FakeHost, properties: &Value, device: Option<&str>, force: bool) -> Result<Vec<Error>> {
    perform(fake, properties, &multipath(), &|host, request, settings| {
        nvmeof::disconnect(host, request, settings, device.map(Path::new), force)
    })
}

pub fn extend(fake: &FakeHost, properties: &Value) -> Result<u64> {
    perform(fake, properties, &multipath(), &nvmeof::extend)
}

pub fn volume_paths(fake: &FakeHost, properties: &Value) -> Vec<String> {
    let paths = perform(fake, properties, &multipath(), &nvmeof::volume_paths).expect("looking cannot fail");
    paths.iter().map(|path| path.display().to_string()).collect()
}

#[track_caller]
pub fn attach(fake: &FakeHost, properties: &Value, settings: &Value) -> String {
    match connect(fake, properties, settings) {
        Ok(path) => path,
        Err(error) => panic!("the attach failed: {}\nafter {}", error.describe(), fake.story()),
    }
}

#[track_caller]
pub fn detach(fake: &FakeHost, properties: &Value) {
    match disconnect(fake, properties, None, false) {
        Ok(errors) => assert_eq!(errors, [], "only a forced detach collects errors"),
        Err(error) => panic!("the detach failed: {}\nafter {}", error.describe(), fake.story()),
    }
}

/// A host, a subsystem behind so many portals, and its first namespace.
pub fn host_with_volume<const N: usize>() -> (FakeHost, [String; N]) {
    let fake = FakeHost::nvme();
    let portals = fake.portals();
    fake.subsystem(NQN, &portals);
    fake.map_namespace(NQN, 1, Namespace::number(1));
    (fake, portals)
}
