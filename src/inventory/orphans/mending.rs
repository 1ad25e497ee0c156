//! Command lines as they are typed, with every name that came from outside quoted.

use crate::inventory::volume::{Consumer, Kind, Path, Volume};

/// A word of a shell's command line.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+=@%[]".contains(c);
    // A bracket outside quotes is a pattern, and could meet a file of that name.
    if !text.is_empty() && text.chars().all(plain) && !text.contains('[') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Ends every use of a volume, from the top down.
pub fn end_uses(volume: &Volume) -> Vec<String> {
    let mut commands: Vec<String> = volume.consumers.iter().flat_map(end_consumer).collect();
    commands.extend(volume.mounts.iter().map(|point| unmount(point, volume.device.as_str())));
    commands
}

pub fn unmount(point: &str, device: &str) -> String {
    if point == "[SWAP]" { format!("swapoff /dev/{}", word(device)) } else { format!("umount {}", word(point)) }
}

fn end_consumer(consumer: &Consumer) -> Vec<String> {
    let mut commands: Vec<String> = consumer.consumers.iter().flat_map(end_consumer).collect();
    commands.extend(consumer.mounts.iter().map(|point| unmount(point, consumer.device.as_str())));
    let name = consumer.name.as_deref().unwrap_or_default();
    match consumer.kind {
        "luks" => commands.push(format!("cryptsetup close {}", word(name))),
        "raid" => commands.push(format!("mdadm --stop /dev/{}", consumer.device)),
        // Partitions go with their disk, and those of a map with `multipath -f`.
        "partition" => {}
        _ => commands.push(format!("dmsetup remove {}", word(name))),
    }
    commands
}

/// Takes a volume's map and disks away, and has multipath forget the identity: it would make a map of the next disk that
/// carries it.
pub fn remove(volume: &Volume) -> Vec<String> {
    let mut commands = end_uses(volume);
    if let (Kind::Multipath, Some(name)) = (volume.kind, &volume.name) {
        commands.push(format!("multipathd disablequeueing map {}", word(name)));
        // What changed last, udev still has open.
        commands.push("udevadm settle --timeout=30".to_owned());
        commands.push(format!("multipath -f {}", word(name)));
    }
    commands.extend(volume.paths.iter().map(delete));
    if let (Kind::Multipath, Some(identity)) = (volume.kind, &volume.identity) {
        commands.push(format!("multipath -w {}", word(identity.as_str())));
    }
    commands
}

/// Takes one disk away.
pub fn delete(path: &Path) -> String {
    format!("echo 1 > /sys/block/{}/device/delete", path.device)
}

/// Has the kernel look at one LUN again.
pub fn scan(path: &Path) -> Option<String> {
    let mut parts = path.address.split(':');
    let (host, channel, target, lun) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(format!("echo '{channel} {target} {lun}' > /sys/class/scsi_host/host{host}/scan"))
}
