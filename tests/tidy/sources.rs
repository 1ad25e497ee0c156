//! The Rust files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;

/// One file of the repository.
pub struct Source {
    /// From the top of the repository, as `src/host/wait.rs`.
    pub name: String,
    pub text: String,
}

impl Source {
    /// The module the file is, without `crate`: `src/host/act/mod.rs` is `["host", "act"]`.
    pub fn module(&self) -> Vec<String> {
        let path = self.name.strip_prefix("src/").expect("only files of the engine are modules of it");
        let path = path.strip_suffix(".rs").expect("only Rust files are collected");
        path.split('/').filter(|part| !matches!(*part, "mod" | "lib")).map(str::to_owned).collect()
    }

    pub fn tokens(&self) -> TokenStream {
        self.text.parse().unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// The files of the engine.
pub fn engine() -> Vec<Source> {
    let files = below(&["src"]);
    assert!(files.len() > 20, "the engine has more than {} files: they are not found any more", files.len());
    files
}

/// Every Rust file that is kept in the repository.
pub fn everything() -> Vec<Source> {
    below(&["src", "tests", "benches"])
}

fn below(directories: &[&str]) -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for directory in directories {
        collect(&top.join(directory), &mut paths);
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.strip_prefix(top).expect("found below the top").display().to_string();
            Source { name, text }
        })
        .collect()
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
