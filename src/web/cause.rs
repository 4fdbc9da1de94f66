//! What a failed request is about in the end, in words that can be shown.

use std::error::Error;

/// As much of a cause as one can read, in characters.
const MAX_CAUSE: usize = 200;

/// What an error is about in the end. Its outer layers repeat the URL, and the query with it; what is
/// left may quote the other side, which is cut.
pub fn innermost(error: &reqwest::Error) -> String {
    let cause = chain(error).last().map(ToString::to_string);
    cause.unwrap_or_default().chars().take(MAX_CAUSE).collect()
}

/// The causes of an error, without the error itself.
pub(super) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}
