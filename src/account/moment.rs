//! A moment in words. How long ago it was reads the same everywhere; what the clock showed would
//! depend on where the reader is, which a page without scripts cannot know.

use crate::clock::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment, for programs and for people.
#[derive(Debug)]
pub(super) struct Moment {
    /// RFC 3339.
    pub(super) exact: String,
    /// In words.
    pub(super) ago: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self {
            exact: at.to_rfc3339(),
            ago: ago(now.since(at).as_secs()),
        }
    }
}

fn ago(seconds: u64) -> String {
    let some = |count: u64, unit: &str| match count {
        1 => format!("1 {unit} ago"),
        _ => format!("{count} {unit}s ago"),
    };
    match seconds {
        0..MINUTE => "just now".to_owned(),
        MINUTE..HOUR => some(seconds / MINUTE, "minute"),
        HOUR..DAY => some(seconds / HOUR, "hour"),
        _ => some(seconds / DAY, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_the_largest_unit_that_fits() {
        for (seconds, words) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (3599, "59 minutes ago"),
            (3600, "1 hour ago"),
            (86_399, "23 hours ago"),
            (86_400, "1 day ago"),
            (40 * 86_400, "40 days ago"),
        ] {
            assert_eq!(ago(seconds), words);
        }
    }

    #[test]
    fn the_exact_moment_is_there_for_programs() {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let moment = Moment::new(now, now);
        assert_eq!(moment.exact, "2026-01-01T00:00:00Z");
    }
}
