// SPDX-License-Identifier: Apache-2.0
//! Writing files and links below a root directory the way sysfs and udev show them.
//!
//! What a session, a disk or a map consists of stands in `kernel.rs`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Where directories are made before they appear, and where they go when they disappear.
const STAGED: &str = ".simhost/staged";
const TRASH: &str = ".simhost/trash";
const POOL: &str = ".simhost/pool";

pub struct Tree {
    root: PathBuf,
    /// Files of equal content share an inode, or 4,000 disks would take long and gigabytes.
    pool: RefCell<HashMap<String, PathBuf>>,
    /// The directory below /sys that is being made aside.
    staging: RefCell<Option<String>>,
    pooled: Cell<u64>,
    thrown_away: Cell<u64>,
}

impl Tree {
    pub fn new(root: impl Into<PathBuf>) -> Tree {
        Tree {
            root: root.into(),
            pool: RefCell::default(),
            staging: RefCell::default(),
            pooled: Cell::default(),
            thrown_away: Cell::default(),
        }
    }

    pub fn sys(&self, name: &str) -> PathBuf {
        let sys = self.root.join("sys");
        let staging = self.staging.borrow();
        match staging.as_ref().and_then(|directory| name.strip_prefix(directory.as_str())) {
            Some(rest) => sys.join(format!("{STAGED}/{}{rest}", aside(staging.as_deref().unwrap_or_default()))),
            None => sys.join(name),
        }
    }

    /// Makes the directory `sys/NAME` with all that `make` puts into it, but lets it appear only with `reveal`.
    pub fn stage(&self, name: &str, make: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.staging.replace(Some(name.to_owned()));
        let made = make();
        self.staging.replace(None);
        made
    }

    pub fn reveal(&self, name: &str) -> io::Result<()> {
        fs::rename(self.sys(&format!("{STAGED}/{}", aside(name))), self.sys(name))
    }

    pub fn unstage(&self, name: &str) {
        let _ = fs::remove_dir_all(self.sys(&format!("{STAGED}/{}", aside(name))));
    }

    /// Removes what disappeared before; slow, for quiet moments.
    pub fn empty_trash(&self) -> io::Result<()> {
        if self.thrown_away.replace(0) > 0 {
            fs::remove_dir_all(self.sys(TRASH))?;
            fs::create_dir_all(self.sys(TRASH))?;
        }
        Ok(())
    }

    pub fn has_trash(&self) -> bool {
        self.thrown_away.get() > 0
    }

    /// Leaves nothing of the tree's own making behind.
    pub fn finish(&self) -> io::Result<()> {
        fs::remove_dir_all(self.sys(".simhost"))
    }

    pub fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(self.sys(STAGED))?;
        fs::create_dir_all(self.sys(POOL))?;
        fs::create_dir_all(self.sys(TRASH))
    }

    pub fn dev(&self, name: &str) -> PathBuf {
        self.root.join("dev").join(name)
    }

    /// Makes the directory `sys/NAME` with `attributes` (name, content without the newline).
    pub fn directory(&self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        let directory = self.sys(name);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(&directory)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        for (attribute, content) in attributes {
            self.file(&directory.join(attribute), &format!("{content}\n"))?;
        }
        Ok(())
    }

    /// A file of short content; many files may share one inode.
    pub fn file(&self, path: &Path, content: &str) -> io::Result<()> {
        let mut pool = self.pool.borrow_mut();
        if let Some(first) = pool.get(content) {
            // It fails when the filesystem's limit of links is reached: start a new inode then.
            if fs::hard_link(first, path).is_ok() {
                return Ok(());
            }
        }
        // A name of its own: a place in the tree may belong to something else the next time.
        self.pooled.set(self.pooled.get() + 1);
        let first = self.sys(&format!("{POOL}/{}", self.pooled.get()));
        fs::write(&first, content)?;
        fs::hard_link(&first, path)?;
        pool.insert(content.to_owned(), first);
        Ok(())
    }

    /// Changes an attribute; the file may share its inode with others, so it is replaced.
    pub fn change(&self, name: &str, content: &str) -> io::Result<()> {
        let aside = self.sys(&format!("{STAGED}/attribute"));
        fs::write(&aside, format!("{content}\n"))?;
        fs::rename(aside, self.sys(name))
    }

    /// A file that programs write to and that is only theirs.
    pub fn control(&self, name: &str, as_fifo: bool) -> io::Result<()> {
        let path = self.sys(name);
        if as_fifo {
            mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        } else {
            fs::File::create(path)?;
        }
        Ok(())
    }

    /// A sysfs link from `sys/LINK` to `sys/TARGET`, relative as the kernel makes it.
    pub fn link(&self, link: &str, target: &str) -> io::Result<()> {
        symlink(relative(link, target), self.sys(link))
    }

    /// Removes `sys/NAME`, a link.
    pub fn unlink(&self, name: &str) {
        let _ = fs::remove_file(self.sys(name));
    }

    /// The directory is gone at once; what was in it is removed in a quiet moment.
    pub fn remove_all(&self, name: &str) {
        let number = self.thrown_away.get() + 1;
        self.thrown_away.set(number);
        let _ = fs::rename(self.sys(name), self.sys(&format!("{TRASH}/{number}")));
    }

    /// A device node, here a sparse file of the device's size.
    pub fn node(&self, name: &str, size: u64) -> io::Result<()> {
        let options = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o660).to_owned();
        options.open(self.dev(name))?.set_len(size)
    }

    /// One of udev's links, `dev/disk/KIND/NAME` to `../../NODE`; an existing one is replaced.
    pub fn udev_link(&self, kind: &str, name: &str, node: &str) -> io::Result<()> {
        let directory = self.dev("disk").join(kind);
        // As udev does it: made aside and renamed, so the name is never absent meanwhile.
        let aside = directory.join(".#new");
        symlink(format!("../../{node}"), &aside)?;
        fs::rename(aside, directory.join(name))
    }

    pub fn remove_udev_link(&self, kind: &str, name: &str) {
        let _ = fs::remove_file(self.dev("disk").join(kind).join(name));
    }
}

/// A directory's name while it is aside.
fn aside(name: &str) -> String {
    name.replace('/', "!")
}

/// The kernel's relative target: up to the nearest directory that holds the target's own directory, then down.
fn relative(link: &str, target: &str) -> String {
    let from: Vec<&str> = link.split('/').collect();
    let to: Vec<&str> = target.split('/').collect();
    let from_directory = &from[..from.len() - 1];
    let to_directory = &to[..to.len() - 1];
    let same = from_directory.iter().zip(to_directory).take_while(|(a, b)| a == b).count();
    let mut parts = vec![".."; from_directory.len() - same];
    parts.extend(&to[same..]);
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn links_are_relative_as_in_the_kernel() {
        assert_eq!(
            relative("devices/platform/host2/scsi_host/host2/device", "devices/platform/host2"),
            "../../../host2"
        );
        assert_eq!(
            relative("class/scsi_host/host2", "devices/platform/host2/scsi_host/host2"),
            "../../devices/platform/host2/scsi_host/host2"
        );
        assert_eq!(relative("block/sda", "devices/platform/x/block/sda"), "../devices/platform/x/block/sda");
    }
}
