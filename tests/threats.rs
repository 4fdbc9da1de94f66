//! What RFC 9700 (the best current practice) and RFC 6819 (the threat model) warn of, line by line,
//! and which test shows what becomes of it here.
//!
//! The tables are `rfc_9700.rs` and `rfc_6819.rs`. What no other chapter tells is in `attacks.rs`.

mod attacks;
mod rfc_6819;
mod rfc_9700;

use std::{collections::BTreeSet, fs, path::Path};

/// One line: the section, what could go wrong in our own words, and what is to be said of it.
type Line = (&'static str, &'static str, Answer);

enum Answer {
    /// These tests show it.
    Shown(&'static [&'static str]),
    /// It cannot happen here, or is not ours to prevent.
    NotOurs(&'static str),
    /// We do something else than the RFC asks for.
    Otherwise(&'static str),
}

use Answer::{NotOurs, Otherwise, Shown};

#[test]
fn every_threat_is_answered_by_a_test_that_exists_or_with_a_reason() {
    let tests = tests_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    for (rfc, lines) in [("9700", rfc_9700::LINES), ("6819", rfc_6819::LINES)] {
        for (section, threat, answer) in lines {
            let line = format!("RFC {rfc} §{section}, {threat}");
            match answer {
                Shown(names) => {
                    assert!(!names.is_empty(), "{line}: by no test");
                    for name in *names {
                        assert!(tests.contains(*name), "{line}: there is no test {name}");
                    }
                }
                NotOurs(reason) | Otherwise(reason) => {
                    assert!(reason.ends_with('.'), "{line}: without a reason");
                }
            }
        }
    }
}

#[test]
fn the_lines_stand_in_the_order_of_the_sections() {
    for lines in [rfc_9700::LINES, rfc_6819::LINES] {
        let number = |section: &str| -> Vec<u32> {
            let parts = section.split('.');
            parts.map(|part| part.parse().unwrap()).collect()
        };
        assert!(lines.is_sorted_by_key(|(section, ..)| number(section)));
    }
}

#[test]
fn tests_are_told_from_other_functions() {
    let text = "/// Helps.\nasync fn helps() {}\n\n#[tokio::test]\n#[expect(lint)]\nasync fn shows() {\n\
                    fn inner() {}\n}\n\n    #[test]\n    fn shows_too() {}\n";
    let found: Vec<_> = tests_of(text).collect();
    assert_eq!(found, ["shows", "shows_too"]);
}

/// The paths of all tests in a directory, as the test runner writes them.
fn tests_in(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let module = path.file_stem().and_then(|stem| stem.to_str()).unwrap();
        let names = if path.is_dir() {
            tests_in(&path)
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a text");
            tests_of(&text).map(ToOwned::to_owned).collect()
        } else {
            continue;
        };
        let is_root = matches!(module, "main" | "mod");
        found.extend(names.into_iter().map(|name| {
            if is_root {
                name
            } else {
                format!("{module}::{name}")
            }
        }));
    }
    found
}

/// The names of the functions of a file that an attribute makes tests.
fn tests_of(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            return None;
        }
        let is_wanted = std::mem::take(&mut is_test);
        let line = line.strip_prefix("async ").unwrap_or(line);
        let name = line.strip_prefix("fn ")?.split('(').next()?;
        is_wanted.then_some(name)
    })
}
