//! The arrows between the modules: `boundary -> clean -> transports -> inventory -> devices -> host -> identifiers, error`.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use crate::paths::{self, Named};
use crate::sources::{self, Source};

/// From the bottom up.  A module may name its own layer and those below it.
const LAYERS: [&[&str]; 8] = [
    &["error", "identifiers"],
    &["log", "fan_out"],
    &["host"],
    &["devices"],
    &["inventory"],
    &["transports"],
    &["clean"],
    &["boundary"],
];

/// The crates that know Python.
const PYTHON: [&str; 3] = ["pyo3", "pyo3_log", "pythonize"];

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&name))
}

/// Every path named in the engine that `is_wrong` objects to, as lines a reader can go to.
fn wrong(is_wrong: impl Fn(&[String], &[String]) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    for source in sources::engine() {
        let module = source.module();
        for Named { path, line } in paths::of_module(&module, source.tokens()) {
            if is_wrong(&module, &path) {
                lines.push(format!("{}:{line} names crate::{}", source.name, path.join("::")));
            }
        }
    }
    lines
}

fn points_up(module: &[String], path: &[String]) -> bool {
    match (module.first().and_then(|name| layer(name)), path.first().and_then(|name| layer(name))) {
        (Some(from), Some(to)) => to > from,
        _ => false,
    }
}

/// A transport is a directory in `transports/`; the files beside the directories serve all of them.
fn transport(path: &[String]) -> Option<&String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/transports");
    let [first, second, ..] = path else { return None };
    (first == "transports" && top.join(second).is_dir()).then_some(second)
}

fn crosses_transports(module: &[String], path: &[String]) -> bool {
    let from_shared = module.first().is_some_and(|name| name == "transports") && module.len() > 1;
    from_shared && transport(path).is_some_and(|to| transport(module) != Some(to))
}

fn changes_from_view(module: &[String], path: &[String]) -> bool {
    starts_with(module, ["host", "view"])
        && (starts_with(path, ["host", "act"]) || starts_with(path, ["host", "programs"]))
}

fn starts_with(path: &[String], start: [&str; 2]) -> bool {
    path.len() >= 2 && path[..2] == start
}

fn words(path: &str) -> Vec<String> {
    path.split("::").map(str::to_owned).collect()
}

#[test]
fn every_module_has_its_layer() {
    let unknown: Vec<String> = sources::engine()
        .iter()
        .map(Source::module)
        .filter_map(|module| module.into_iter().next())
        .filter(|name| layer(name).is_none())
        .collect();
    assert_eq!(unknown, Vec::<String>::new(), "say in LAYERS where these belong");
}

#[test]
fn no_arrow_points_up() {
    assert!(points_up(&words("host::view::scsi"), &words("devices::remove")));
    assert!(!points_up(&words("devices::remove"), &words("host::view::scsi")));
    assert_eq!(wrong(points_up), Vec::<String>::new());
}

#[test]
fn no_transport_names_another() {
    assert!(crosses_transports(&words("transports::fibre_channel::connect"), &words("transports::iscsi::path")));
    assert!(crosses_transports(&words("transports::locks"), &words("transports::iscsi::path")));
    assert!(!crosses_transports(&words("transports::iscsi::connect"), &words("transports::locks::Locks")));
    assert_eq!(wrong(crosses_transports), Vec::<String>::new());
}

#[test]
fn views_only_read() {
    assert!(changes_from_view(&words("host::view::scsi"), &words("host::act::runner")));
    assert_eq!(wrong(changes_from_view), Vec::<String>::new());
}

#[test]
fn only_the_boundary_knows_python() {
    let mut lines = Vec::new();
    for source in sources::engine().iter().filter(|source| !source.name.starts_with("src/boundary/")) {
        python_words(source.tokens(), &mut |line, word| lines.push(format!("{}:{line} names {word}", source.name)));
    }
    assert_eq!(lines, Vec::<String>::new());
}

fn python_words(tokens: TokenStream, found: &mut impl FnMut(usize, String)) {
    for token in tokens {
        match token {
            TokenTree::Ident(word) if PYTHON.iter().any(|name| word == name) => {
                found(word.span().start().line, word.to_string());
            }
            TokenTree::Group(group) => python_words(group.stream(), found),
            _ => {}
        }
    }
}
