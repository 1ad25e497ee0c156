//! What is attached, whatever the protocol: `src/inventory`.

use os_brick_engine::host::attribute::{self, Directory};
use os_brick_engine::host::programs::dmsetup;
use os_brick_engine::host::root::Root;
use os_brick_engine::inventory::Inventory;
use serde_json::{Value, json};

use crate::check::IQN;
use crate::connect_single::host_with_portals;
use crate::support::tree::Tree;
use crate::support::{FakeHost, Volume};

/// Two paths in their map: `sda` over the first portal, `sdb` over the second.
pub fn host_with_map() -> (FakeHost, [String; 2]) {
    let (fake, portals) = host_with_portals::<2>();
    for portal in &portals {
        let sid = fake.log_in(portal, IQN);
        fake.scan_in(sid, 1);
    }
    (fake, portals)
}

pub fn root(fake: &FakeHost) -> Root {
    fake.host().root
}

fn path(disk: &str, hctl: &str, sid: u32, portal: &str) -> Value {
    json!({
        "device": disk, "address": hctl, "state": "running", "identity": Volume::number(1).id(),
        "size": 1_073_741_824, "usable": true,
        "connection": {
            "transport": "iscsi", "target": IQN, "portal": portal, "name": format!("session{sid}"), "state": "LOGGED_IN",
        },
    })
}

#[test]
fn a_volume_is_shown_with_its_paths_and_all_who_use_it() {
    let (fake, [one, two]) = host_with_map();
    fake.build_on("dm-0", "dm-1", "crypt-dm-0", "CRYPT-LUKS2-abc-crypt-dm-0");
    fake.build_on("dm-1", "dm-2", "vg-data", "LVM-abc");
    fake.tree().link("/sys/dev/block/253:2", "/sys/devices/virtual/block/dm-2");
    let table = "21 1 253:2 / /var/lib/my\\040data rw,noatime shared:1 - ext4 /dev/mapper/vg-data rw\n\
                 22 1 0:5 / /dev rw - devtmpfs udev rw\n";
    fake.tree().write("/proc/self/mountinfo", table);
    fake.tree().link("/dev/disk/by-id/os-brick+dev+dm-0", "/dev/mapper/crypt-dm-0");
    let mut found = Inventory::read(&root(&fake));
    found.add_open_counts(&dmsetup::parse_open_counts("dm-0=1\ndm-2=1\n"));
    let consumer = |kind, device, name, mounts: &[&str], open: Option<u32>, above: Vec<Value>| json!({"kind": kind, "device": device, "name": name, "mounts": mounts, "open_count": open, "consumers": above});
    let data = consumer("lvm", "dm-2", "vg-data", &["/var/lib/my data"], Some(1), Vec::new());
    let expected = json!({
        "volumes": [{
            "device": "dm-0", "kind": "multipath", "name": Volume::number(1).id(), "identity": Volume::number(1).id(),
            "size": 1_073_741_824,
            "paths": [path("sda", "2:0:0:1", 1, &one), path("sdb", "3:0:0:1", 2, &two)],
            "mounts": [], "links": ["/dev/disk/by-id/os-brick+dev+dm-0"], "open_count": 1,
            "record": null,
            "consumers": [consumer("luks", "dm-1", "crypt-dm-0", &[], None, vec![data])],
        }],
        "sessions": [
            {"sid": 1, "target": IQN, "portal": one, "state": "LOGGED_IN", "disks": ["sda"]},
            {"sid": 2, "target": IQN, "portal": two, "state": "LOGGED_IN", "disks": ["sdb"]},
        ],
        "controllers": [],
    });
    assert_eq!(serde_json::to_value(&found).expect("plain data"), expected);
}

/// One subsystem over two controllers, of which the second has lost the namespace's group, and one that is empty.
pub fn write_nvme(tree: &Tree) {
    let subsystem = "nqn.2026-01.org.example:volume";
    for (name, address, state, nqn) in [
        ("nvme1", "traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.9", "live", subsystem),
        ("nvme2", "traddr=fd00::1,trsvcid=4420", "live", subsystem),
        ("nvme3", "traddr=10.0.0.3,trsvcid=4420", "connecting", "nqn.2026-01.org.example:empty"),
        ("nvme4", "traddr=10.0.0.3,trsvcid=8009", "live", "nqn.2014-08.org.nvmexpress.discovery"),
    ] {
        let values = [("address", address), ("state", state), ("subsysnqn", nqn), ("transport", "tcp")];
        for (attribute, value) in values {
            tree.write(&format!("/sys/class/nvme/{name}/{attribute}"), format!("{value}\n"));
        }
    }
    tree.write("/sys/class/nvme/nvme1/nvme1c1n1/ana_state", "optimized\n");
    tree.write("/sys/class/nvme/nvme2/nvme1c2n1/ana_state", "inaccessible\n");
    let head = "/sys/devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1";
    tree.write(&format!("{head}/wwid"), "uuid.5a5d5e0e-0000-4000-8000-000000000001\n");
    tree.write(&format!("{head}/size"), "2097152\n");
    tree.link("/sys/block/nvme1n1", head);
}

#[test]
fn a_namespace_is_shown_with_its_controllers() {
    let fake = FakeHost::new();
    write_nvme(fake.tree());
    let root = root(&fake);
    let found = Inventory::read(&root);
    let [volume] = found.volumes.as_slice() else { panic!("{:#?}", found.volumes) };
    let identity = volume.identity.as_ref().map(ToString::to_string);
    assert_eq!(identity.as_deref(), Some("uuid.5a5d5e0e-0000-4000-8000-000000000001"));
    assert_eq!((volume.device.as_str(), volume.size), ("nvme1n1", Some(1 << 30)));
    let paths: Vec<_> = volume
        .paths
        .iter()
        .map(|path| (path.device.as_str(), path.connection.portal.as_deref(), path.state.as_deref(), path.usable))
        .collect();
    let expected = [
        ("nvme1c1n1", Some("10.0.0.1:4420"), Some("optimized"), true),
        ("nvme1c2n1", Some("[fd00::1]:4420"), Some("inaccessible"), false),
    ];
    assert_eq!(paths, expected);
}

/// The namespace is named after its controller where the kernel does not join paths.
#[test]
fn a_local_namespace_is_a_volume_and_its_controller_is_nobodys_connection() {
    let fake = FakeHost::new();
    let tree = fake.tree();
    let values = [("address", "0000:00:04.0"), ("cntrltype", "io"), ("state", "live"), ("transport", "pcie")];
    values.iter().for_each(|(name, value)| tree.write(&format!("/sys/class/nvme/nvme10/{name}"), format!("{value}\n")));
    tree.write("/sys/class/nvme/nvme10/nvme10n1/nvme10n1p1/partition", "1\n");
    // Going away: most of its attributes are gone already.
    tree.write("/sys/class/nvme/nvme9/nvme9n1/nsid", "1\n");
    tree.write("/sys/block/nvme10n1/size", "2048\n");
    let found = Inventory::read(&root(&fake));
    assert_eq!(found.controllers, []);
    let path = json!({
        "device": "nvme10n1", "address": "nvme10", "state": null, "identity": null, "size": 1 << 20, "usable": true,
        "connection": {
            "transport": "nvme-pcie", "target": null, "portal": "0000:00:04.0", "name": "nvme10", "state": "live",
        },
    });
    let expected = json!([{
        "device": "nvme10n1", "kind": "namespace", "name": null, "identity": null, "size": 1 << 20, "paths": [path],
        "mounts": [], "consumers": [], "links": [], "open_count": null, "record": null,
    }]);
    assert_eq!(serde_json::to_value(found.volumes).expect("plain data"), expected);
}

#[test]
fn fibre_channel_and_local_disks_are_shown_with_what_they_run_over() {
    const NODE: &str = "50060160bee00001";
    const PORT: &str = "500601603ee00001";
    let fake = FakeHost::new();
    let tree = fake.tree();
    for (disk, device) in [
        ("sda", "/sys/devices/pci0000:00/0000:00:05.0/host5/rport-5:0-1/target5:0:2/5:0:2:3"),
        ("sdb", "/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0"),
    ] {
        let block = format!("{device}/block/{disk}");
        tree.write(&format!("{device}/state"), "running\n");
        tree.link(&format!("{block}/device"), device);
        tree.link(&format!("/sys/block/{disk}"), &block);
    }
    let port = "/sys/class/fc_remote_ports/rport-5:0-1";
    for (name, value) in [("port_name", PORT), ("node_name", NODE)] {
        tree.write(&format!("{port}/{name}"), format!("0x{value}\n"));
    }
    tree.write(&format!("{port}/port_state"), "Blocked\n");
    tree.write(&format!("{port}/scsi_target_id"), "2\n");
    tree.write("/sys/class/scsi_host/host0/proc_name", "ahci\n");
    let found = serde_json::to_value(Inventory::read(&root(&fake)).volumes).expect("plain data");
    let connection = |volume: usize| &found[volume]["paths"][0]["connection"];
    let fabric = json!({
        "transport": "fibre_channel", "target": NODE, "portal": PORT, "name": "rport-5:0-1", "state": "Blocked",
    });
    let local = json!({"transport": "ahci", "target": null, "portal": null, "name": null, "state": null});
    assert_eq!((connection(0), connection(1)), (&fabric, &local));
    assert_eq!((&found[0]["paths"][0]["usable"], &found[1]["paths"][0]["usable"]), (&json!(false), &json!(true)));
}

/// Whatever the length: sysfs gives a page at most, files of `/etc` more, and what is longer than 64 KiB is cut.
#[test]
fn an_attribute_is_read_up_to_its_end() {
    let fake = FakeHost::new();
    for length in [0, 1, 511, 512, 513, 4095, 4096, 4097, 65_535, 65_536, 65_537] {
        let text: String = "0123456789".chars().cycle().take(length).collect();
        fake.tree().write("/etc/attribute", &text);
        let expected = &text[..length.min(65_536)];
        assert_eq!(attribute::text(&root(&fake).path("/etc/attribute")).as_deref(), Some(expected), "{length} bytes");
        let directory = Directory::open(&root(&fake).path("/etc")).expect("it is there");
        assert_eq!(directory.text("attribute").as_deref(), Some(expected), "{length} bytes below a directory");
        assert_eq!(directory.text("nothing"), None);
    }
    assert!(Directory::open(&root(&fake).path("/nowhere")).is_none());
}
