//! The root directory below which the machine's files are.

use std::path::{Path, PathBuf};

/// `/` on a real machine, a directory with a captured or pretended one in tests.  Never an environment variable:
/// this runs as root.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

impl Root {
    pub fn real() -> Root {
        Root(PathBuf::from("/"))
    }

    pub fn at(directory: impl Into<PathBuf>) -> Root {
        Root(directory.into())
    }

    /// The place of an absolute path on this machine.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.0.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// The machine's own name for a place below the root: the reverse of `path`.
    pub fn strip(&self, place: &Path) -> PathBuf {
        match place.strip_prefix(&self.0) {
            Ok(rest) => Path::new("/").join(rest),
            Err(_) => place.to_path_buf(),
        }
    }
}
