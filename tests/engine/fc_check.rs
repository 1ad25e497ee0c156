//! The boundary of Fibre Channel, and the hosts its tests begin with.

use std::path::Path;

use os_brick_engine::error::{Error, Result};
use os_brick_engine::host::Host;
use os_brick_engine::transports::fibre_channel::{self, Attachment, Request};
use os_brick_engine::transports::settings::Settings;
use serde_json::{Map, Value, json};

use crate::support::{FakeHost, Volume};

/// Two ports of this host, two of the array in each fabric.
pub const HOST_A: &str = "10000090fa000001";
pub const HOST_B: &str = "10000090fa000002";
pub const W: &str = "500601603ee00001";
pub const X: &str = "500601603ee00002";
pub const Y: &str = "500601603ee00003";
pub const Z: &str = "500601603ee00004";

/// Host ports A with W and X, B with Y and Z; volume 1 is LUN 5 of all.
pub fn two_fabrics() -> (FakeHost, u32, u32) {
    let fake = FakeHost::new();
    let (a, b) = (fake.fc_host(HOST_A), fake.fc_host(HOST_B));
    [W, X].iter().for_each(|port| {
        fake.fc_port(a, port);
    });
    [Y, Z].iter().for_each(|port| {
        fake.fc_port(b, port);
    });
    fake.fc_map(&[W, X, Y, Z], 5, &Volume::number(1));
    (fake, a, b)
}

/// One port on each side; volume 1 is LUN 5.
pub fn one_fabric() -> (FakeHost, u32) {
    let fake = FakeHost::new();
    let host = fake.fc_host(HOST_A);
    fake.fc_port(host, W);
    fake.fc_map(&[W], 5, &Volume::number(1));
    (fake, host)
}

pub fn volume(ports: &[&str], lun: u64) -> Value {
    json!({"target_wwn": ports, "target_lun": lun})
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("properties are an object")
}

fn perform<T>(
    fake: &FakeHost,
    properties: &Value,
    settings: &Value,
    work: &dyn Fn(&Host, &Request, &Settings) -> Result<T>,
) -> Result<T> {
    let request = Request::read(object(properties))?;
    let settings = Settings::read(object(settings))?;
    work(&fake.host(), &request, &settings)
}

pub fn connect(fake: &FakeHost, properties: &Value, settings: &Value) -> Result<Attachment> {
    perform(fake, properties, settings, &fibre_channel::connect)
}

pub fn disconnect(
    fake: &FakeHost,
    properties: &Value,
    settings: &Value,
    device: Option<&str>,
    force: bool,
) -> Result<Vec<Error>> {
    perform(fake, properties, settings, &|host, request, settings| {
        fibre_channel::disconnect(host, request, settings, device.map(Path::new), force)
    })
}

pub fn extend(fake: &FakeHost, properties: &Value, settings: &Value) -> Result<u64> {
    perform(fake, properties, settings, &fibre_channel::extend)
}

pub fn volume_paths(fake: &FakeHost, properties: &Value, settings: &Value) -> Vec<String> {
    let paths = perform(fake, properties, settings, &fibre_channel::volume_paths).expect("looking cannot fail");
    paths.iter().map(|path| path.display().to_string()).collect()
}

pub fn scan_plan(fake: &FakeHost, properties: &Value, hosts: &[u32]) -> Vec<String> {
    let request = Request::read(object(properties)).expect("good properties");
    let plan = fibre_channel::scan_plan(&fake.host(), &request, hosts);
    plan.into_iter().map(|(host, what)| format!("host{host} {what}")).collect()
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

/// Detaches without an error.
#[track_caller]
pub fn detach(fake: &FakeHost, properties: &Value, settings: &Value) {
    match disconnect(fake, properties, settings, None, false) {
        Ok(errors) => assert_eq!(errors, [], "only a forced detach collects errors"),
        Err(error) => panic!("the detach failed: {}\nafter {}", error.describe(), fake.story()),
    }
}

pub fn scans(fake: &FakeHost) -> Vec<String> {
    let mut scans = fake.done("/scan");
    scans.sort();
    scans
}

pub fn scan(host: u32, what: &str) -> String {
    format!("write {what} > /sys/class/scsi_host/host{host}/scan")
}

pub fn by_path(host: u32, port: &str) -> String {
    format!("/dev/disk/by-path/pci-0000:05:00.{host}-fc-0x{port}-lun-5")
}

/// Two adapters of IBM Z, a port behind each that the driver does not know yet.
pub fn mainframe() -> (FakeHost, [u32; 2]) {
    let fake = FakeHost::new();
    let hosts = [("0.0.000d/0.0.1700", HOST_A), ("0.0.000e/0.0.1780", HOST_B)].map(|(device, wwpn)| {
        let prefix = format!("ccw-{}-", device.rsplit('/').next().expect("a bus id"));
        fake.fc_host_at(&format!("/sys/devices/css0/{device}"), &prefix, wwpn)
    });
    fake.fc_port(hosts[0], W);
    fake.fc_port(hosts[1], Y);
    (fake, hosts)
}

pub fn units(fake: &FakeHost) -> usize {
    fake.machine.state().fabric.units.len()
}
