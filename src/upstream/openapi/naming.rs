//! Names that clients take: of tools, and of their arguments.

use std::collections::HashSet;

/// The longest name of either.
const MAX_NAME: usize = 64;

/// A name of 1 to 64 of `A-Z a-z 0-9 _ -`, made of a text that may be anything. What the protocol
/// allows is more, and what clients hand to models is this.
pub(super) fn tool_name(prefix: &str, text: &str) -> String {
    let name = sanitised(text, |c| matches!(c, '_' | '-'));
    let name = if name.is_empty() {
        "call".to_owned()
    } else {
        name
    };
    cut(&format!("{prefix}{name}"), MAX_NAME).to_owned()
}

/// A name for an operation that has none: `get_pets_petId`.
pub(super) fn of_place(method: &str, path: &str) -> String {
    format!("{}_{path}", method.to_ascii_lowercase())
}

/// The same for an argument, where a dot may stand as well.
pub(super) fn argument_name(text: &str) -> String {
    let name = sanitised(text, |c| matches!(c, '_' | '-' | '.'));
    if name.is_empty() {
        "value".to_owned()
    } else {
        cut(&name, MAX_NAME).to_owned()
    }
}

/// The name itself, or with a number behind it if it is taken.
pub(super) fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let mut found = name.to_owned();
    let mut number = 2;
    while !taken.insert(found.clone()) {
        let ending = format!("_{number}");
        found = format!("{}{ending}", cut(name, MAX_NAME - ending.len()));
        number += 1;
    }
    found
}

/// Whatever is not allowed, once for all that stands together, becomes `_`.
fn sanitised(text: &str, also: impl Fn(char) -> bool) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || also(c) {
            name.push(c);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name.trim_matches('_').to_owned()
}

/// Names are ASCII, so any byte is a place to cut.
fn cut(name: &str, length: usize) -> &str {
    name.get(..length).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_name() {
        for (text, expected) in [
            ("listPets", "listPets"),
            ("repos/list-for-org", "repos_list-for-org"),
            ("get /pets/{petId}", "get_pets_petId"),
            ("Größe: ändern!", "Gr_e_ndern"),
            ("___", "call"),
            ("", "call"),
        ] {
            assert_eq!(tool_name("", text), expected, "{text}");
        }
        assert_eq!(tool_name("p_", &"x".repeat(100)).len(), 64);
        for (text, expected) in [
            ("filter[name]", "filter_name"),
            ("$filter", "filter"),
            ("X-Api-Version", "X-Api-Version"),
            ("page.size", "page.size"),
            ("[]", "value"),
        ] {
            assert_eq!(argument_name(text), expected, "{text}");
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut taken = HashSet::new();
        let long = "x".repeat(64);
        let mut named = |name: &str| unique(name, &mut taken);
        assert_eq!([named("a"), named("a"), named("a")], ["a", "a_2", "a_3"]);
        assert_eq!(named("a_2"), "a_2_2");
        assert_eq!(named(&long), long);
        assert_eq!(named(&long), format!("{}_2", "x".repeat(62)));
    }
}
