//! Heads, names and lengths.

use std::collections::BTreeMap;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::sources;

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 50;

/// Files and functions (`file::function`) that may be longer, how long, and why that reads better than the pieces.
const LONGER: &[(&str, usize, &str)] = &[];

/// May stand above the head.
const LICENCE: &str = "// SPDX-License-Identifier: Apache-2.0\n";

/// Names that say nothing about what lives there.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "helpers", "helper", "manager", "common", "misc"];

/// Compares lengths with what is allowed; an exception nobody needs any more is a fault too.
fn too_long(lengths: &BTreeMap<String, usize>, limit: usize, exceptions: &[(&str, usize, &str)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, lines) in lengths {
        let allowed = exceptions.iter().find(|(known, ..)| known == name).map(|(_, lines, _)| *lines);
        match allowed {
            None if *lines > limit => faults.push(format!("{name} has {lines} lines, {limit} are the limit")),
            Some(allowed) if *lines > allowed => {
                faults.push(format!("{name} has {lines} lines, its exception allows {allowed}"))
            }
            Some(_) if *lines <= limit => faults.push(format!("{name} has {lines} lines and needs no exception")),
            _ => {}
        }
    }
    faults
}

#[derive(Default)]
struct Functions {
    file: String,
    lengths: BTreeMap<String, usize>,
}

impl Functions {
    fn add(&mut self, name: &syn::Ident, item: &impl Spanned) {
        let span = item.span();
        let lines = span.end().line - span.start().line + 1;
        let longest = self.lengths.entry(format!("{}::{name}", self.file)).or_default();
        *longest = lines.max(*longest);
    }
}

/// Attributes and documentation are not counted: the span of the whole item would include them.
impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig.ident, &syn::ItemFn { attrs: Vec::new(), ..item.clone() });
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig.ident, &syn::ImplItemFn { attrs: Vec::new(), ..item.clone() });
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.add(&item.sig.ident, &syn::TraitItemFn { attrs: Vec::new(), ..item.clone() });
        visit::visit_trait_item_fn(self, item);
    }
}

#[test]
fn every_file_says_what_lives_in_it() {
    let silent: Vec<String> = sources::everything()
        .into_iter()
        .filter(|source| !source.text.trim_start_matches(LICENCE).starts_with("//! "))
        .map(|source| source.name)
        .collect();
    assert_eq!(silent, Vec::<String>::new(), "a file begins with `//! ` and what lives there");
}

#[test]
fn names_say_what_lives_there() {
    let empty: Vec<String> = sources::engine()
        .into_iter()
        .filter(|source| source.module().iter().any(|part| EMPTY_NAMES.contains(&part.as_str())))
        .map(|source| source.name)
        .collect();
    assert_eq!(empty, Vec::<String>::new());
}

#[test]
fn files_are_short() {
    let lengths = sources::everything().into_iter().map(|source| (source.name, source.text.lines().count())).collect();
    assert_eq!(too_long(&lengths, LONGEST_FILE, LONGER), Vec::<String>::new());
}

#[test]
fn functions_are_short() {
    let mut functions = Functions::default();
    for source in sources::everything() {
        let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.name));
        functions.file = source.name;
        functions.visit_file(&file);
    }
    assert!(functions.lengths.len() > 100, "only {} functions are found", functions.lengths.len());
    assert_eq!(too_long(&functions.lengths, LONGEST_FUNCTION, LONGER), Vec::<String>::new());
}

#[test]
fn exceptions_are_held_to() {
    let lengths = BTreeMap::from([("a".to_owned(), 51), ("b".to_owned(), 60), ("c".to_owned(), 10)]);
    let exceptions = [("b", 55, "why"), ("c", 70, "why")];
    assert_eq!(
        too_long(&lengths, 50, &exceptions),
        [
            "a has 51 lines, 50 are the limit",
            "b has 60 lines, its exception allows 55",
            "c has 10 lines and needs no exception",
        ]
    );
}
