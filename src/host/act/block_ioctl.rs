//! `BLKFLSBUF` (`include/uapi/linux/fs.h`), what `blockdev --flushbufs` does, without starting it.

#![expect(unsafe_code, reason = "an ioctl without an argument; the kernel touches no memory of ours")]
#![expect(clippy::disallowed_methods, reason = "opens the device the ioctl is for")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::error::{Error, Result};
use crate::host::root::Root;

mod raw {
    nix::ioctl_none!(blkflsbuf, 0x12, 97);
}

/// Writes the dirty pages of a block device out and drops its pages.  Blocks as long as the device does.
pub fn flush_buffers(root: &Root, device: &Path) -> Result<()> {
    let file = File::open(root.path(device)).map_err(|error| Error::io("open", device, &error))?;
    // SAFETY: the descriptor is open for the whole call and the request takes no argument.
    match unsafe { raw::blkflsbuf(file.as_raw_fd()) } {
        // Not a block device: a pretended one in tests.
        Ok(_) | Err(nix::errno::Errno::ENOTTY) => Ok(()),
        Err(errno) => Err(Error::io("flush", device, &std::io::Error::from(errno))),
    }
}
