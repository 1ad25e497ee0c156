//! Which modules of the crate a file names: in `use`, in expressions and inside macros alike.

use std::iter::Peekable;

use proc_macro2::{Delimiter, TokenStream, TokenTree, token_stream::IntoIter};

/// A path that was named, from the crate's root, and the line it stands on.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
}

/// All paths that begin with `crate`, `super` or `self`, made absolute.
pub fn of_module(module: &[String], tokens: TokenStream) -> Vec<Named> {
    let mut found = Vec::new();
    walk(module, tokens, &mut found);
    found
}

fn walk(module: &[String], tokens: TokenStream, found: &mut Vec<Named>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "mod" => inline_module(module, &mut tokens, found),
            TokenTree::Ident(word) => {
                let line = word.span().start().line;
                match word.to_string().as_str() {
                    "crate" => follow(Vec::new(), line, &mut tokens, found),
                    "self" => follow(module.to_vec(), line, &mut tokens, found),
                    "super" => follow(parent(module), line, &mut tokens, found),
                    _ => {}
                }
            }
            TokenTree::Group(group) => walk(module, group.stream(), found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Inside `mod name { ... }` the word `super` means this module.
fn inline_module(module: &[String], tokens: &mut Peekable<IntoIter>, found: &mut Vec<Named>) {
    let Some(TokenTree::Ident(name)) = tokens.next() else { return };
    if let Some(TokenTree::Group(body)) = tokens.peek() {
        let inner: Vec<String> = module.iter().cloned().chain([name.to_string()]).collect();
        walk(&inner, body.stream(), found);
        tokens.next();
    }
}

/// Reads on from the start of a path; a group at its end gives one path for each of its members.
fn follow(mut path: Vec<String>, line: usize, tokens: &mut Peekable<IntoIter>, found: &mut Vec<Named>) {
    while is_separator(tokens) {
        match tokens.next() {
            Some(TokenTree::Ident(word)) if word == "super" => path = parent(&path),
            Some(TokenTree::Ident(word)) => path.push(word.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                return members(&path, group.stream(), found);
            }
            _ => break,
        }
    }
    if !path.is_empty() {
        found.push(Named { path, line });
    }
}

fn members(path: &[String], group: TokenStream, found: &mut Vec<Named>) {
    let mut tokens = group.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            // `{self}` is the module itself.
            TokenTree::Ident(word) if word == "self" => {
                found.push(Named { path: path.to_vec(), line: word.span().start().line });
            }
            TokenTree::Ident(word) => {
                let line = word.span().start().line;
                let start = if word == "super" { parent(path) } else { [path, &[word.to_string()]].concat() };
                follow(start, line, &mut tokens, found);
            }
            _ => {}
        }
    }
}

/// Takes `::` if it comes next.
fn is_separator(tokens: &mut Peekable<IntoIter>) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    if !colon(tokens.peek()) {
        return false;
    }
    let joint = matches!(tokens.next(), Some(TokenTree::Punct(mark)) if mark.spacing() == proc_macro2::Spacing::Joint);
    joint && colon(tokens.peek()) && tokens.next().is_some()
}

fn parent(module: &[String]) -> Vec<String> {
    module.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default()
}

#[test]
fn every_way_to_name_a_module_is_seen() {
    let module = ["host".to_owned(), "act".to_owned(), "lock".to_owned()];
    let source = "
        use crate::error::{Error, Result};
        use crate::{log, host::{self, wait}};
        use super::super::view as seen;
        use std::fs;
        fn f(place: &crate::identifiers::Iqn) { warn!(target: T, \"{}\", crate::transports::iscsi::f(self.x)); }
        mod tests { use super::*; use super::super::files; }
    ";
    let named = of_module(&module, source.parse().expect("it is Rust"));
    let paths: Vec<String> = named.iter().map(|named| format!("{} {}", named.line, named.path.join("::"))).collect();
    assert_eq!(
        paths,
        [
            "2 error::Error",
            "2 error::Result",
            "3 log",
            "3 host",
            "3 host::wait",
            "4 host::view",
            "6 identifiers::Iqn",
            "6 transports::iscsi::f",
            "6 host::act::lock",
            "7 host::act::lock",
            "7 host::act::files",
        ]
    );
}
