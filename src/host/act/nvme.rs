//! The kernel's own interfaces of NVMe: `/dev/nvme-fabrics` and Identify commands (`include/uapi/linux/nvme_ioctl.h`).

#![expect(unsafe_code, reason = "an ioctl with a structure and a buffer of ours, both alive for the whole call")]
#![expect(clippy::disallowed_methods, reason = "opens the devices the requests are for")]

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use log::debug;

use crate::error::{Error, Result};
use crate::log::HOST;

pub const FABRICS: &str = "/dev/nvme-fabrics";
/// What every Identify command returns.
pub const IDENTIFY_LENGTH: usize = 4096;

/// What became of asking for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// The kernel's answer: `instance=3,cntlid=1`.
    Made(String),
    /// There is one with the same subsystem, portal and host already.
    Already,
}

/// `nvme_passthru_cmd`
#[repr(C)]
#[derive(Default)]
pub struct AdminCommand {
    opcode: u8,
    flags: u8,
    reserved: u16,
    nsid: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    timeout_ms: u32,
    result: u32,
}

mod raw {
    nix::ioctl_readwrite!(admin_command, b'N', 0x41, super::AdminCommand);
}

const IDENTIFY: u8 = 0x06;
const ANSWER_MS: u32 = 10_000;

/// Has the kernel connect to a controller; `options` as the kernel parses them (`drivers/nvme/host/fabrics.c`).  Returns
/// when the connection is up or has failed, for which a silent target may take a minute.
pub fn connect(options: &str) -> Result<Connection> {
    let device = Path::new(FABRICS);
    let failed = |verb, error: &std::io::Error| Error::io(verb, device, error);
    let mut file = OpenOptions::new().read(true).write(true).open(device).map_err(|error| failed("open", &error))?;
    debug!(target: HOST, "{FABRICS}: {options}");
    match file.write_all(options.as_bytes()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(nix::libc::EALREADY) => return Ok(Connection::Already),
        Err(error) => return Err(failed("connect through", &error)),
    }
    let mut answer = String::new();
    file.take(256).read_to_string(&mut answer).map_err(|error| failed("read", &error))?;
    Ok(Connection::Made(answer.trim().to_owned()))
}

/// Identify (opcode 06h) with the given CNS, sent to a controller at once and never answered from memory.  None when the
/// controller refuses: it has no such namespace, or does not know the CNS.
pub fn identify(controller: &Path, nsid: u32, cns: u8) -> Result<Option<Vec<u8>>> {
    let file = OpenOptions::new().read(true).open(controller).map_err(|error| Error::io("open", controller, &error))?;
    let mut answer = vec![0_u8; IDENTIFY_LENGTH];
    let mut command = AdminCommand {
        opcode: IDENTIFY,
        nsid,
        addr: answer.as_mut_ptr() as u64,
        data_len: IDENTIFY_LENGTH as u32,
        cdw10: u32::from(cns),
        timeout_ms: ANSWER_MS,
        ..AdminCommand::default()
    };
    // SAFETY: the descriptor is open, and the kernel writes at most `data_len` bytes into `answer`, which outlives the call.
    match unsafe { raw::admin_command(file.as_raw_fd(), &raw mut command) } {
        Ok(0) => Ok(Some(answer)),
        Ok(status) => {
            debug!(target: HOST, "{}: Identify {cns:#04x} of {nsid} ended with {status:#x}", controller.display());
            Ok(None)
        }
        Err(errno) => Err(Error::io("identify", controller, &std::io::Error::from(errno))),
    }
}
