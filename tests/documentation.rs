//! What is written about the settings, the log and the files is held against the program itself:
//! `.env.example`, `--help` and the README say everything that exists and nothing else.

use std::{collections::HashMap, fs, path::Path};

use remote_mcp_auth::{
    cli,
    config::{Config, Setting, settings},
};
use tempfile::TempDir;

use crate::support::Launch;

const README: &str = include_str!("../README.md");
const ENV_EXAMPLE: &str = include_str!("../.env.example");

/// Naming its address, even the default one, makes it a condition: the line stays empty.
const EMPTY_ALTHOUGH_IT_HAS_A_DEFAULT: &str = "ADMIN_ADDR";

/// Settings that have a flag and an environment variable.
fn variables() -> impl Iterator<Item = (&'static Setting, &'static str, &'static str)> {
    settings().filter_map(|setting| Some((setting, setting.env?, setting.flag?)))
}

#[test]
fn the_example_lists_every_variable_with_its_default_and_one_line_of_explanation() {
    let lines: Vec<&str> = ENV_EXAMPLE.lines().collect();
    let mut listed: HashMap<&str, (&str, &str)> = HashMap::new();
    for pair in lines.windows(2) {
        if let Some((name, value)) = pair[1].split_once('=')
            && !pair[1].starts_with('#')
        {
            assert!(listed.insert(name, (value, pair[0])).is_none(), "{name}");
        }
    }
    for (setting, name, _) in variables() {
        let (value, comment) = listed
            .remove(name)
            .unwrap_or_else(|| panic!("{name} is missing"));
        let explanation = comment.strip_prefix("# ").unwrap_or_default();
        let in_words = explanation.strip_prefix(setting.help);
        let in_words = in_words.unwrap_or_else(|| panic!("{name}: {comment}"));
        match setting.default {
            Some(default) if name != EMPTY_ALTHOUGH_IT_HAS_A_DEFAULT => {
                assert_eq!((value, in_words), (default, ""), "{name}");
            }
            _ => {
                assert_eq!(value, "", "{name}");
                // `none: memory` says the same in two ways.
                let default = setting.default_in_words.trim_start_matches("none: ");
                let expected = format!(" (default: {default}");
                assert!(in_words.starts_with(&expected), "{name}: {comment}");
            }
        }
    }
    assert!(listed.is_empty(), "there is no such variable: {listed:?}");
}

#[test]
fn the_example_copied_unchanged_changes_nothing() {
    let empty = TempDir::new().unwrap();
    let copied = TempDir::new().unwrap();
    fs::write(copied.path().join(".env"), ENV_EXAMPLE).unwrap();
    let config = |directory: &TempDir| {
        let config = Config::load(&HashMap::new(), &|_| None, directory.path());
        let mut config = config.unwrap();
        // Where it was read from is not what it says.
        config.files.clear();
        format!("{config:#?}")
    };
    assert_eq!(config(&copied), config(&empty));

    let ended = Launch::bare()
        .file(".env", ENV_EXAMPLE)
        .args(&["check"])
        .run();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

#[test]
fn the_help_text_lists_every_flag_with_its_variable_and_default() {
    let command = cli::command();
    for (setting, env, flag) in variables() {
        let mut flags = command.get_arguments();
        let arg = flags.find(|arg| arg.get_long() == Some(flag));
        let arg = arg.unwrap_or_else(|| panic!("there is no --{flag}"));
        let help = arg.get_help().unwrap().to_string();
        let default = setting.default_in_words;
        let expected = format!("{} [env: {env}] [default: {default}]", setting.help);
        assert_eq!(help, expected, "--{flag}");
    }
    for arg in command.get_arguments() {
        let flag = arg.get_long().unwrap();
        let is_setting = variables().any(|(_, _, known)| known == flag);
        assert!(is_setting || flag == "tunnel", "--{flag} sets nothing");
    }

    // And that is what a person sees.
    let shown = Launch::bare().args(&["--help"]).run();
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    for (_, env, flag) in variables() {
        for part in [format!("--{flag} "), format!("[env: {env}]")] {
            assert!(shown.stdout.contains(&part), "no {part} in {shown:#?}");
        }
    }
}

/// The rows of the README's tables whose first column heads like this, cell by cell.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let cells = |line: &'static str| -> Vec<&'static str> {
        let line = line.trim_start_matches('|').trim_end_matches('|');
        line.split('|').map(str::trim).collect()
    };
    let mut lines = README.lines().skip_while(|line| {
        let mut columns = line.trim_start_matches('|').split('|');
        columns.next().map(str::trim) != Some(heading)
    });
    let (_, rule) = (lines.next(), lines.next());
    assert!(rule.is_some(), "the README has no table of “{heading}”");
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(cells).collect()
}

/// A default as the table shows it: what could be typed stands as code.
fn shown(setting: &Setting) -> String {
    setting.default.map_or_else(
        || setting.default_in_words.to_owned(),
        |default| format!("`{default}`"),
    )
}

#[test]
fn the_tables_of_the_readme_list_every_setting_with_its_default() {
    let expected: Vec<Vec<String>> = variables()
        .map(|(setting, env, flag)| {
            // The README says so, and leaves out the column.
            assert_eq!(setting.key, flag.replace('-', "_"));
            let names = [format!("`{env}`"), format!("`--{flag}`")];
            let rest = [shown(setting), setting.help.to_owned()];
            names.into_iter().chain(rest).collect()
        })
        .collect();
    assert_eq!(rows("environment"), expected);

    let expected: Vec<Vec<String>> = settings()
        .filter(|setting| setting.env.is_none())
        .map(|setting| {
            let name = format!("`{}`", setting.key);
            vec![name, shown(setting), setting.help.to_owned()]
        })
        .collect();
    assert_eq!(rows("key in the file"), expected);
}

#[test]
fn the_toml_of_the_readme_is_a_valid_configuration() {
    let blocks: Vec<&str> = README.split("```toml\n").skip(1).collect();
    assert!(!blocks.is_empty(), "the README shows no TOML");
    for block in blocks {
        let toml = block.split("```").next().unwrap_or_default();
        let launch =
            Launch::bare()
                .file("server.toml", toml)
                .args(&["check", "--config", "server.toml"]);
        // Secrets are in the variables that it names.
        let secrets = toml.split("_env = \"").skip(1);
        let secrets = secrets.filter_map(|rest| Some(rest.split_once('"')?.0));
        let ended = secrets
            .fold(launch, |launch, name| launch.env(name, "a secret"))
            .run();
        assert_eq!(ended.code, Some(0), "{toml}: {ended:#?}");
    }
}

#[test]
fn every_event_of_the_log_is_explained() {
    let mut events = Vec::new();
    read_events(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut events,
    );
    events.sort();
    events.dedup();
    let mut explained: Vec<String> = rows("event")
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    explained.sort();
    assert_eq!(explained, events);
}

/// Collects the names that stand in `event = "…"`.
fn read_events(directory: &Path, events: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_events(&path, events);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let named = text.split("event = \"").skip(1);
            events.extend(named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
}

#[test]
fn every_file_that_the_readme_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README.split("](").skip(1);
    let links = links.filter_map(|rest| Some(rest.split_once(')')?.0));
    let local = links.filter(|link| !link.contains("://"));
    // Paths that stand as code, outside of blocks.
    let blocks = README.split("```").step_by(2);
    let code = blocks.flat_map(|text| text.split('`').skip(1).step_by(2));
    let paths = code.filter(|code| {
        let beginnings = ["src/", "tests/", "examples/", ".env.example", ".ci/"];
        beginnings
            .iter()
            .any(|beginning| code.starts_with(beginning))
    });
    let mut count = 0;
    for link in local.chain(paths) {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        assert!(root.join(path).exists(), "there is no {path}");
        let is_heading = |line: &str| line.starts_with('#') && anchor_of(line) == anchor;
        assert!(
            anchor.is_empty() || README.lines().any(is_heading),
            "there is no heading #{anchor}"
        );
        count += 1;
    }
    assert!(count > 0, "the README names no file");
}

/// A heading's anchor, as code hosts make it.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
