//! Files and links of the pretend machine, named as the machine names them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory that stands for `/`.
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    pub fn new(root: &Path) -> Tree {
        Tree { root: root.to_path_buf() }
    }

    /// Where a path of the machine really is.
    pub fn place(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub fn directory(&self, path: &str) {
        fs::create_dir_all(self.place(path)).expect("the tree is ours to write");
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let place = self.place(path);
        let parent = place.parent().expect("an attribute has a directory");
        fs::create_dir_all(parent).expect("the tree is ours to write");
        // Whole at once, as the kernel's attributes are: nobody reads half of one.
        let new = self.new_place();
        fs::write(&new, content).expect("the tree is ours to write");
        let place = place.canonicalize().unwrap_or(place);
        fs::rename(new, place).expect("the tree is ours to write");
    }

    pub fn append(&self, path: &str, content: &str) {
        let file = fs::OpenOptions::new().create(true).append(true).open(self.place(path));
        file.and_then(|mut file| file.write_all(content.as_bytes())).expect("the tree is ours to write");
    }

    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.place(path)).ok().map(|text| text.trim().to_owned())
    }

    /// A relative link, as the kernel and udev make them.
    pub fn link(&self, link: &str, target: &str) {
        let place = self.place(link);
        let parent = place.parent().expect("a link has a directory");
        fs::create_dir_all(parent).expect("the tree is ours to write");
        // A link that leads elsewhere by now was never away.
        let new = self.new_place();
        symlink(relative(link, target), &new).expect("the tree is ours to write");
        fs::rename(new, place).expect("the tree is ours to write");
    }

    /// A name nobody looks at.
    fn new_place(&self) -> PathBuf {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        self.place(format!("/.new-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
    }

    /// The last component of what a link leads to, whether or not that exists.
    pub fn link_name(&self, link: &str) -> Option<String> {
        let target = fs::read_link(self.place(link)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Removes the links of a directory that lead to a name.
    pub fn remove_links_to(&self, directory: &str, name: &str) {
        let links = self.names(directory).into_iter().map(|link| format!("{directory}/{link}"));
        links.filter(|link| self.link_name(link).as_deref() == Some(name)).for_each(|link| self.remove(&link));
    }

    /// Removes a file, link or directory with all that is in it.
    pub fn remove(&self, path: &str) {
        let place = self.place(path);
        let is_directory = fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_dir());
        let _ = if is_directory { fs::remove_dir_all(place) } else { fs::remove_file(place) };
    }

    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.place(path)).is_ok()
    }

    pub fn is_file(&self, path: &str) -> bool {
        self.place(path).is_file()
    }

    /// The names in a directory, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.place(path)) else {
            return Vec::new();
        };
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Every file below a directory, as the machine names it; links are not followed.
    pub fn files_below(&self, path: &str) -> Vec<String> {
        let mut files = Vec::new();
        for name in self.names(path) {
            let child = format!("{path}/{name}");
            if fs::symlink_metadata(self.place(&child)).is_ok_and(|meta| meta.is_dir()) {
                files.extend(self.files_below(&child));
            } else {
                files.push(child);
            }
        }
        files
    }

    /// Where a link ends, as the machine names it.
    pub fn canonical(&self, path: &str) -> Option<String> {
        let root = fs::canonicalize(&self.root).ok()?;
        let real = fs::canonicalize(self.place(path)).ok()?;
        Some(format!("/{}", real.strip_prefix(root).ok()?.display()))
    }
}

/// The way from the directory of one absolute path to another.
fn relative(from: &str, to: &str) -> PathBuf {
    let parts = |path: &str| -> Vec<String> {
        Path::new(path)
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
                _ => None,
            })
            .collect()
    };
    let (mut from, to) = (parts(from), parts(to));
    from.pop();
    // As in sysfs, the way never ends in `..`: the target's own name is always its last part.
    let common = from.iter().zip(&to[..to.len() - 1]).take_while(|(a, b)| a == b).count();
    let up = (common..from.len()).map(|_| "..".to_owned());
    up.chain(to[common..].iter().cloned()).collect()
}
