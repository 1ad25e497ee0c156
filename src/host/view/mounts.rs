//! `/proc/self/mountinfo` and `/proc/swaps` (kernel: Documentation/filesystems/proc.rst): what block devices are mounted.

use std::path::Path;

use crate::host::attribute;
use crate::host::root::Root;
use crate::host::view::block;
use crate::identifiers::DeviceName;

/// A block device, or a partition, with where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `dm-3`, `sda1`
    pub device: DeviceName,
    /// A directory, or `[SWAP]` as `lsblk` says it.
    pub point: String,
}

/// Every mount of a block device, in the order of the kernel.
pub fn all(root: &Root) -> Vec<Mount> {
    let table = attribute::whole(&root.path("/proc/self/mountinfo")).unwrap_or_default();
    let mounted = table.lines().filter_map(|line| of_line(root, line));
    let swaps = attribute::whole(&root.path("/proc/swaps")).unwrap_or_default();
    let swapped = swaps.lines().skip(1).filter_map(|line| {
        let device = device_of(root, line.split_whitespace().next()?)?;
        Some(Mount { device, point: "[SWAP]".to_owned() })
    });
    mounted.chain(swapped.collect::<Vec<_>>()).collect()
}

/// `36 35 98:0 /sub /mnt rw,noatime master:1 - ext4 /dev/root rw`
fn of_line(root: &Root, line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(2);
    let number = fields.next()?;
    let point = unescaped(fields.nth(1)?);
    // btrfs and overlays have numbers of their own, then the source tells the device.
    let source = after.split(' ').nth(1)?;
    let device = block::with_number(root, number).or_else(|| device_of(root, source))?;
    Some(Mount { device, point })
}

fn device_of(root: &Root, source: &str) -> Option<DeviceName> {
    let source = unescaped(source);
    if source.starts_with("/dev/") { block::behind(root, Path::new(&source)) } else { None }
}

/// Blanks, tabs, newlines and backslashes stand in octal: `\040`.
fn unescaped(text: &str) -> String {
    let mut plain = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let code = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&plain).into_owned()
}
