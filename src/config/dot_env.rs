//! Reads `.env`: one `NAME=VALUE` a line.
//!
//! Written here because the crates for this put variables in where a `$` stands, so that a passcode
//! of `pa$word` became `pa`, and quote the line that they cannot read, which may hold a secret.

use std::collections::HashMap;

/// Reads the text of a file. In place of what it cannot read it names the lines.
///
/// A value may stand in single quotes, where everything means itself; in double quotes, where a
/// backslash before `"` or `\` takes its meaning away; or bare, up to the end of the line or a `#`
/// that follows a blank. Of two values the last one counts, as for a shell.
pub(super) fn read(text: &str) -> Result<HashMap<String, String>, Vec<usize>> {
    let mut values = HashMap::new();
    let mut unreadable = Vec::new();
    // Some editors write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match assignment(line) {
            Some((name, value)) => {
                values.insert(name.to_owned(), value);
            }
            None => unreadable.push(index + 1),
        }
    }
    if unreadable.is_empty() {
        Ok(values)
    } else {
        Err(unreadable)
    }
}

fn assignment(line: &str) -> Option<(&str, String)> {
    let (name, written) = line.split_once('=')?;
    let name = match name.split_once(char::is_whitespace) {
        Some(("export", name)) => name,
        _ => name,
    };
    let name = name.trim();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    Some((name, value(written.trim())?))
}

fn value(written: &str) -> Option<String> {
    let (value, rest) = if let Some(quoted) = written.strip_prefix('\'') {
        let (value, rest) = quoted.split_once('\'')?;
        (value.to_owned(), rest)
    } else if let Some(quoted) = written.strip_prefix('"') {
        double_quoted(quoted)?
    } else {
        return Some(bare(written).to_owned());
    };
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(value)
}

fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' if chars.as_str().starts_with(['"', '\\']) => value.extend(chars.next()),
            other => value.push(other),
        }
    }
}

fn bare(text: &str) -> &str {
    let is_comment = |(at, _): &(usize, &str)| {
        let before = text.get(..*at).unwrap_or_default();
        before.is_empty() || before.ends_with(char::is_whitespace)
    };
    let comment = text.match_indices('#').find(is_comment);
    let value = comment.and_then(|(at, _)| text.get(..at));
    value.unwrap_or(text).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_value_is_read() {
        for (line, expected) in [
            ("A=plain", "plain"),
            ("  A = spaced out  ", "spaced out"),
            ("export A=exported", "exported"),
            ("A=", ""),
            ("A=   # nothing", ""),
            ("A=''", ""),
            ("A=pa$word", "pa$word"),
            ("A=${HOME}", "${HOME}"),
            ("A=pa#word", "pa#word"),
            ("A=word # said by nobody", "word"),
            ("A=a=b", "a=b"),
            ("A=it's", "it's"),
            (r"A=back\slash", r"back\slash"),
            ("A='single # $quoted \\ \"'", "single # $quoted \\ \""),
            (
                r#"A="double \"quoted\" \\ # $x \n" # why"#,
                r#"double "quoted" \ # $x \n"#,
            ),
            ("A=1\nA=2", "2"),
            ("\u{feff}A=marked", "marked"),
            ("\n# A=commented\r\nA=found\r\n", "found"),
        ] {
            let read = read(line).unwrap();
            assert_eq!(read.get("A").map(String::as_str), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_line() {
        let text = "A=1\nnonsense\n=2\nB C=3\nD='open\nE=\"open\\\"\nF='x' y\n# fine\nG=4\n";
        assert_eq!(read(text), Err(vec![2, 3, 4, 5, 6, 7]));
    }
}
