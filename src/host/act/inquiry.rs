//! INQUIRY by `SG_IO` (kernel: include/scsi/sg.h): what a disk says of itself now, past everything the kernel remembers.
//!
//! Nothing on disk or host changes.  A path that is going away can hold the call up longer than its own limit, so it
//! is made within `bounded`.

#![expect(unsafe_code, reason = "an ioctl with buffers that live longer than the call")]
#![expect(clippy::disallowed_methods, reason = "opens the device the ioctl is for")]

use std::ffi::{c_int, c_uchar, c_uint, c_ushort, c_void};
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::host::root::Root;
use crate::identifiers::DeviceName;

/// What a disk answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// VPD page 0x83.
    Page(Vec<u8>),
    /// The storage maps nothing to this LUN any more.
    NoUnit,
}

/// `struct sg_io_hdr`
#[repr(C)]
struct Header {
    interface_id: c_int,
    direction: c_int,
    command_length: c_uchar,
    sense_room: c_uchar,
    vectors: c_ushort,
    length: c_uint,
    data: *mut c_void,
    command: *mut c_uchar,
    sense: *mut c_uchar,
    timeout: c_uint,
    flags: c_uint,
    pack_id: c_int,
    user: *mut c_void,
    status: c_uchar,
    masked_status: c_uchar,
    msg_status: c_uchar,
    sense_length: c_uchar,
    host_status: c_ushort,
    driver_status: c_ushort,
    residue: c_int,
    duration: c_uint,
    info: c_uint,
}

const FROM_DEVICE: c_int = -3;
const CHECK_CONDITION: u8 = 0x02;

mod raw {
    nix::ioctl_readwrite_bad!(sg_io, 0x2285, super::Header);
}

/// Asks a disk for the page of its identity.
pub fn identity_page(root: &Root, disk: &DeviceName, timeout: Duration) -> Result<Answer> {
    const ROOM: u16 = 1024;
    let place = disk.dev_path();
    let failed = |reason: String| Error::Io { verb: "ask", path: disk.dev_path(), reason };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC)
        .open(root.path(&place))
        .map_err(|error| Error::io("open", &place, &error))?;
    let [high, low] = ROOM.to_be_bytes();
    let mut command = [0x12, 0x01, 0x83, high, low, 0x00];
    let (mut page, mut sense) = ([0_u8; ROOM as usize], [0_u8; 64]);
    let mut header = Header {
        interface_id: c_int::from(b'S'),
        direction: FROM_DEVICE,
        command_length: command.len() as c_uchar,
        sense_room: sense.len() as c_uchar,
        vectors: 0,
        length: c_uint::from(ROOM),
        data: page.as_mut_ptr().cast(),
        command: command.as_mut_ptr(),
        sense: sense.as_mut_ptr(),
        timeout: c_uint::try_from(timeout.as_millis()).unwrap_or(c_uint::MAX),
        flags: 0,
        pack_id: 0,
        user: std::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        msg_status: 0,
        sense_length: 0,
        host_status: 0,
        driver_status: 0,
        residue: 0,
        duration: 0,
        info: 0,
    };
    // SAFETY: the descriptor is open, and the header and the three buffers it points to outlive the call.
    unsafe { raw::sg_io(file.as_raw_fd(), &raw mut header) }.map_err(|errno| failed(errno.desc().to_owned()))?;
    let transport = (header.host_status, header.driver_status & 0x07);
    if header.status == CHECK_CONDITION {
        return refusal(&sense).map_err(failed);
    }
    if header.status != 0 || transport != (0, 0) {
        return Err(failed(format!("status {:#x}, host {:#x}", header.status, header.host_status)));
    }
    answer(&page)
}

/// A peripheral qualifier of 011b says that nothing is there (SPC-4 6.4.2).
fn answer(page: &[u8]) -> Result<Answer> {
    if page[0] >> 5 == 0b011 {
        return Ok(Answer::NoUnit);
    }
    let length = 4 + usize::from(u16::from_be_bytes([page[2], page[3]]));
    Ok(Answer::Page(page[..length.min(page.len())].to_vec()))
}

/// The sense data of a refused INQUIRY (SPC-4 4.5): LOGICAL UNIT NOT SUPPORTED is an answer.
pub fn refusal(sense: &[u8]) -> std::result::Result<Answer, String> {
    const ILLEGAL_REQUEST: u8 = 0x05;
    const UNIT_NOT_SUPPORTED: u8 = 0x25;
    // What was not sent is zero, as in the buffer of the call.
    let byte = |index: usize| sense.get(index).copied().unwrap_or_default();
    let descriptor = matches!(byte(0) & 0x7f, 0x72 | 0x73);
    let (key, code) = if descriptor { (byte(1) & 0x0f, byte(2)) } else { (byte(2) & 0x0f, byte(12)) };
    match (key, code) {
        (ILLEGAL_REQUEST, UNIT_NOT_SUPPORTED) => Ok(Answer::NoUnit),
        _ => Err(format!("sense key {key:#x}, code {code:#x}")),
    }
}
