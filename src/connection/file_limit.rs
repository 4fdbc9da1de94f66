//! How many files the system lets us have open: every connection is one.

/// What the process needs besides the public listener's connections: its own files, the private
/// listener's few connections, and the tunnel's pipes.
const RESERVED: u64 = 64;

/// How many of so many connections the system allows, once it has been asked for all that it gives
/// this process. Login shells and service managers usually give 1024 and allow far more.
pub(crate) fn affordable(connections: usize) -> usize {
    let Ok(limit) = rlimit::increase_nofile_limit(u64::MAX) else {
        // Then nothing is known, and accepting says when there are too many.
        return connections;
    };
    let room = usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX);
    let room = room.max(1);
    if room < connections {
        tracing::warn!(
            "the system allows {limit} open files (ulimit -n): at most {room} connections instead \
             of {connections} (limits.connections)"
        );
    }
    connections.min(room)
}
