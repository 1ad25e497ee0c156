// SPDX-License-Identifier: Apache-2.0
//! `/dev/nvme-fabrics`: a file that is written to and answers whoever wrote, through the descriptor it was written to.
//!
//! No file on a disk and no FIFO does that, a file in user space does (FUSE, `include/uapi/linux/fuse.h`, version 7.31).
//! The mount is that one file, so little of the protocol is needed, and requests are answered when their time has come
//! without a thread for each.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};

const PLACE: &str = "/dev/nvme-fabrics";

const GETATTR: u32 = 3;
const SETATTR: u32 = 4;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const FORGET: u32 = 2;
const INTERRUPT: u32 = 36;

/// How the file is open: nothing is kept in the page cache, there is no position to read at, and nobody waits for another's
/// write.  The latter since Linux 6.2, and once somebody has asked for the size; until then writes wait for one another, as
/// connections do in any case.
const DIRECT_STREAM_PARALLEL: u32 = 1 | 1 << 4 | 1 << 6;
const SIZE: u64 = 4096;
const REGULAR: u32 = 0o100_600;
/// What one request may be long.
const LONGEST: usize = 16 * 1024;

/// Of every request: length, opcode, unique, node, uid, gid, pid.
const HEAD: usize = 40;

/// Options somebody wrote and waits for.
#[derive(Debug)]
pub struct Written {
    unique: u64,
    handle: u64,
    length: u32,
    pub options: String,
}

pub struct FabricsFile {
    device: File,
    /// What is to be read by each open, once.
    answers: HashMap<u64, Vec<u8>>,
    last_handle: u64,
}

/// The fields of an answer, in the machine's order.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn long(mut self, value: u64) -> Fields {
        self.0.extend(value.to_ne_bytes());
        self
    }

    fn int(mut self, value: u32) -> Fields {
        self.0.extend(value.to_ne_bytes());
        self
    }
}

fn int(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

impl FabricsFile {
    /// Puts the file in its place.
    pub fn mount() -> io::Result<FabricsFile> {
        let missing = |error: io::Error| io::Error::other(format!("NVMe is simulated with /dev/fuse: {error}"));
        let flags = OFlag::O_NONBLOCK.bits();
        let device =
            OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/fuse").map_err(missing)?;
        fs::write(PLACE, "")?;
        let options = format!("fd={},rootmode={REGULAR:o},user_id=0,group_id=0", device.as_raw_fd());
        mount(Some("simhost"), PLACE, Some("fuse"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options.as_str()))?;
        Ok(FabricsFile { device, answers: HashMap::new(), last_handle: 0 })
    }

    /// What to poll.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    /// Takes one request and answers it, unless it is a write: that is for `answer`.
    pub fn hear(&mut self) -> io::Result<Option<Written>> {
        let mut request = vec![0; LONGEST];
        let length = match self.device.read(&mut request) {
            Ok(length) => length,
            // The caller was killed before its request was read.
            Err(error) if matches!(error.raw_os_error(), Some(nix::libc::ENOENT | nix::libc::EAGAIN)) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let request = &request[..length];
        let (opcode, unique, body) = (int(request, 4), long(request, 8), request.get(HEAD..).unwrap_or_default());
        let handle = long(body, 0);
        let fields = match opcode {
            FORGET | INTERRUPT => return Ok(None),
            INIT => init(body),
            GETATTR | SETATTR => attributes(),
            OPEN => {
                self.last_handle += 1;
                Fields::default().long(self.last_handle).int(DIRECT_STREAM_PARALLEL).int(0)
            }
            WRITE => {
                let length = int(body, 16);
                let text = body.get(40..).unwrap_or_default();
                let options = String::from_utf8_lossy(text).trim().to_owned();
                return Ok(Some(Written { unique, handle, length, options }));
            }
            READ => Fields(self.answers.remove(&handle).unwrap_or_default()),
            RELEASE => {
                self.answers.remove(&handle);
                Fields::default()
            }
            FLUSH => Fields::default(),
            _ => return self.reply(unique, Err(Errno::ENOSYS)).map(|()| None),
        };
        self.reply(unique, Ok(fields)).map(|()| None)
    }

    /// What became of what was written; the text is there to be read.
    pub fn answer(&mut self, written: &Written, outcome: Result<String, Errno>) -> io::Result<()> {
        let fields = outcome.map(|text| {
            self.answers.insert(written.handle, text.into_bytes());
            Fields::default().int(written.length).int(0)
        });
        self.reply(written.unique, fields)
    }

    fn reply(&mut self, unique: u64, outcome: Result<Fields, Errno>) -> io::Result<()> {
        let (error, body) = match outcome {
            Ok(fields) => (0, fields.0),
            Err(errno) => (-(errno as i32), Vec::new()),
        };
        let mut whole = Fields::default().int(16 + body.len() as u32).int(error as u32).long(unique).0;
        whole.extend(body);
        match self.device.write_all(&whole) {
            // Nobody waits for it any more.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOENT) => Ok(()),
            other => other,
        }
    }
}

/// `fuse_init_out`
fn init(body: &[u8]) -> Fields {
    let minor = int(body, 4).min(31);
    let sizes = Fields::default().int(7).int(minor).int(0).int(0).int(0).int(4096).int(1);
    (0..9).fold(sizes, |fields, _| fields.int(0))
}

/// `fuse_attr_out`
fn attributes() -> Fields {
    let validity = Fields::default().long(3600).int(0).int(0);
    let node_size_times = validity.long(1).long(SIZE).long(0).long(0).long(0).long(0).int(0).int(0).int(0);
    node_size_times.int(REGULAR).int(1).int(0).int(0).int(0).int(4096).int(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_as_long_as_the_kernel_wants_them() {
        assert_eq!(init(&[0; 16]).0.len(), 64);
        assert_eq!(attributes().0.len(), 104);
    }
}
