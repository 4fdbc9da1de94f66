//! Who may name whom: every `crate::` path in `src` is held against a table.
//!
//! The table is the decision. Whoever needs another edge adds it here and says why.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The rooms from the bottom to the top, and whom each may name. Nobody names a room above its
/// own, so there are no cycles. `oauth` and `mcp` never name each other: they meet at `access`.
const ROOMS: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("clock", &[]),
    // It compares the times of assertions.
    ("jose", &["clock"]),
    ("dpop", &["secret", "clock", "jose"]),
    // Timestamps are plain data, and so are the keys of clients.
    ("model", &["secret", "clock", "jose"]),
    // The throttle runs on a clock that can be turned; the model says what counts as loopback.
    ("web", &["clock", "model"]),
    // Tokens that it hands on are secrets.
    ("access", &["secret", "model"]),
    // What the operator says of APIs and of MCP servers, with what is shown to them. No store names it.
    ("api", &["secret", "model"]),
    ("mcp_upstream", &["secret", "api"]),
    // Clients of the file are plain data with a date; what pages show is judged as they will show it.
    (
        "config",
        &["secret", "clock", "model", "web", "api", "mcp_upstream"],
    ),
    // Codes and tokens are bound to keys, by their thumbprints.
    ("store", &["secret", "clock", "jose", "model"]),
    // It knows people's tokens at their identity providers.
    (
        "identity",
        &["secret", "clock", "model", "web", "access", "store"],
    ),
    // A page of a person's own, in words that the resource server has for its tools.
    (
        "account",
        &["clock", "model", "web", "access", "store", "identity"],
    ),
    // Clients sign what they send, and show that they hold keys.
    (
        "oauth",
        &[
            "secret", "clock", "jose", "dpop", "model", "web", "access", "store", "identity",
        ],
    ),
    // The store keeps its sessions. It names the algorithms of proofs.
    (
        "mcp",
        &["secret", "clock", "jose", "model", "web", "access", "store"],
    ),
    // Its tools are tools like others; calls go over connections that belong to people's grants. The
    // store keeps the keys that it signs with.
    (
        "upstream",
        &[
            "secret",
            "clock",
            "model",
            "web",
            "api",
            "mcp_upstream",
            "access",
            "store",
            "mcp",
        ],
    ),
    // It logs what the rooms noted on their responses.
    ("telemetry", &["web", "config"]),
    // It tells the rooms who is at the other end of a connection.
    ("connection", &["web"]),
    // It reads a public URL, and forwards to where the listener can be reached.
    ("tunnel", &["model", "web"]),
    ("home", &["model", "web"]),
    // From here on is the root. It knows what the operator wants, and no room above does.
    ("state", EVERYTHING_BELOW),
    ("offering", EVERYTHING_BELOW),
    ("app", EVERYTHING_BELOW),
    ("router", EVERYTHING_BELOW),
    // A second, smaller house for the operator, put up beside the first.
    ("admin", EVERYTHING_BELOW),
    ("logo", EVERYTHING_BELOW),
    ("reload", EVERYTHING_BELOW),
    ("server", EVERYTHING_BELOW),
    // The commands that say who may sign in: they work on the store without a server.
    ("people", EVERYTHING_BELOW),
    // `admin` for the client that asks a running server, `state` for what is done without one, `clock`
    // for dates.
    (
        "cli",
        &[
            "clock",
            "config",
            "telemetry",
            "state",
            "offering",
            "admin",
            "people",
            "server",
        ],
    ),
    ("main", &["cli"]),
    // The map: it declares every room and exports what programs build a server with.
    ("lib", &[]),
];

const EVERYTHING_BELOW: &[&str] = &["*"];

/// Rooms that would be the same if the server spoke something else than HTTP.
const KNOW_NO_HTTP: [&str; 9] = [
    "secret",
    "clock",
    "jose",
    "dpop",
    "model",
    "api",
    "mcp_upstream",
    "access",
    "store",
];

/// One file of the crate: the room that it belongs to, and its code without comments and tests.
struct Source {
    path: PathBuf,
    room: String,
    /// How many `super::` lead from it to the crate's root.
    depth: usize,
    text: String,
    code: String,
}

#[test]
fn no_room_names_another_that_it_may_not() {
    for source in sources() {
        let may_name = allowed(&source.room);
        for named in source.rooms_named() {
            assert!(
                may_name.contains(named.as_str()),
                "{} names {named}: {} may not (see the table in {})",
                source.path.display(),
                source.room,
                file!()
            );
        }
    }
}

#[test]
fn the_table_allows_nothing_that_nobody_needs() {
    let sources = sources();
    for (room, may_name) in ROOMS {
        let files: Vec<&Source> = sources.iter().filter(|s| s.room == *room).collect();
        assert!(!files.is_empty(), "there is no room {room}");
        let named: BTreeSet<String> = files.iter().flat_map(|s| s.rooms_named()).collect();
        for other in may_name.iter().filter(|other| **other != "*") {
            assert!(named.contains(*other), "{room} does not name {other}");
        }
    }
}

#[test]
fn rooms_name_only_rooms_below_them() {
    for (index, (room, may_name)) in ROOMS.iter().enumerate() {
        for other in may_name.iter().filter(|other| **other != "*") {
            let below = ROOMS[..index].iter().any(|(name, _)| name == other);
            assert!(below, "{other} is not below {room}");
        }
    }
}

#[test]
fn the_lower_rooms_know_no_http() {
    for source in sources() {
        if KNOW_NO_HTTP.contains(&source.room.as_str()) {
            for http in ["axum::", "http::", "hyper::", "StatusCode"] {
                let path = source.path.display();
                assert!(!source.code.contains(http), "{path} names {http}");
            }
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    for source in sources() {
        let path = source.path.display();
        assert!(source.text.starts_with("//! "), "{path} opens without //!");
    }
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let code = "use crate::{\n    Server,\n    model::{client::{Client, ClientId}, scope},\n};\n\
                use super::super::clock::Clock;\nuse super::jsonrpc;\n\
                pub(in crate::mcp) fn f(s: &crate::secret::Digest) { my_crate::x(); }\n\
                fn url() -> &'static str { \"https://crate.example\" } // crate::oauth\n\
                \n#[cfg(test)]\nmod tests { use crate::store; }\n";
    let source = Source::new("src/mcp/rejection.rs".into(), code.to_owned());
    let expected = ["clock", "model", "secret", "server"];
    assert!(source.rooms_named().iter().eq(expected));
}

fn allowed(room: &str) -> BTreeSet<&'static str> {
    let index = ROOMS.iter().position(|(name, _)| *name == room);
    let index = index.unwrap_or_else(|| panic!("the room {room} is not in the table"));
    match ROOMS[index].1 {
        EVERYTHING_BELOW => ROOMS[..index].iter().map(|(name, _)| *name).collect(),
        some => some.iter().copied().collect(),
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&root.join("src"), &mut paths);
    assert!(paths.len() > 50, "the sources were not found");
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            Source::new(path.strip_prefix(root).unwrap().to_owned(), text)
        })
        .collect()
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

impl Source {
    fn new(path: PathBuf, text: String) -> Self {
        let module = path.strip_prefix("src").unwrap().with_extension("");
        let mut names: Vec<String> = module
            .iter()
            .map(|name| name.to_str().unwrap().to_owned())
            .collect();
        names.retain(|name| name != "mod");
        // Tests stand last, and may name whom they like.
        let without_tests = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
        let code = without_tests.lines().map(without_comment);
        Self {
            room: names[0].clone(),
            depth: names.len(),
            code: code.collect::<Vec<_>>().join("\n"),
            path,
            text,
        }
    }

    /// The other rooms that the file names.
    fn rooms_named(&self) -> BTreeSet<String> {
        let to_the_root = "super::".repeat(self.depth);
        let beginnings = ["crate::", "remote_mcp_auth::", &to_the_root];
        let rests = beginnings.iter().flat_map(|beginning| {
            self.code
                .match_indices(beginning)
                .filter(|(at, _)| !self.code[..*at].ends_with(is_part_of_a_name))
                .map(|(at, found)| &self.code[at + found.len()..])
        });
        let mut rooms: BTreeSet<String> = rests.flat_map(first_names).map(room_of).collect();
        rooms.remove(&self.room);
        rooms
    }
}

/// Two slashes after a colon are part of a URL.
fn without_comment(line: &str) -> &str {
    let comment = line
        .match_indices("//")
        .find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The first name of a path, or of each branch of a tree of paths.
fn first_names(rest: &str) -> Vec<&str> {
    let Some(tree) = rest.strip_prefix('{') else {
        return vec![first_name(rest)];
    };
    let mut names = vec![first_name(tree)];
    let mut depth = 1;
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(first_name(&tree[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn first_name(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c| !is_part_of_a_name(c)).unwrap_or(text.len());
    &text[..end]
}

/// A type that stands in the crate's root is re-exported from its room.
fn room_of(name: &str) -> String {
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        return name.to_owned();
    }
    let lib = include_str!("../src/lib.rs");
    let from = lib
        .split("pub use ")
        .skip(1)
        .filter_map(|statement| statement.split_once("::"))
        .find(|(_, names)| {
            let names = names.split(';').next().unwrap_or_default();
            names.split(|c| !is_part_of_a_name(c)).any(|n| n == name)
        });
    let (room, _) = from.unwrap_or_else(|| panic!("lib.rs exports no {name}"));
    room.to_owned()
}
