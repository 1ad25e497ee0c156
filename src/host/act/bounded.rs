//! Kernel calls that may not come back in time: on a dead device a write to sysfs or a flush can block for minutes.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::fan_out;
use crate::host::Host;

/// Does the work in a thread of its own and waits no longer than `timeout` for it.  A thread that is stuck in the
/// kernel is left behind; it ends when the kernel lets go.
pub fn within<T, F>(what: &str, timeout: Duration, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel();
    fan_out::detach("bounded", move || drop(sender.send(work())))
        .map_err(|error| Error::io("start a thread for", Path::new(what), &error))?;
    receiver.recv_timeout(timeout).unwrap_or_else(|_| Err(Error::Timeout { what: what.to_owned(), after: timeout }))
}

/// Writes a kernel attribute within a time.
pub fn write(host: &Host, path: &Path, content: &str, timeout: Duration) -> Result<()> {
    let (host, path, content) = (host.clone(), path.to_path_buf(), content.to_owned());
    let what = format!("writing {content:?} to {}", path.display());
    within(&what, timeout, move || host.runner.write(&path, &content))
}
