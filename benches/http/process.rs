//! What a process has used, by the kernel's own accounting.

use std::{fs, time::Duration};

/// The kernel's clock ticks, of which there are 100 in a second on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// The processor time that processes have used, their own and the kernel's on their behalf.
pub(crate) fn processor_time(pids: &[u32]) -> Duration {
    pids.iter().map(|pid| processor_time_of(*pid)).sum()
}

/// None, if it has ended: a database has processes that come and go.
fn processor_time_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    if stat.is_empty() {
        return Duration::ZERO;
    }
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    // utime and stime are the 14th and 15th of all fields.
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// Resident memory, in bytes.
pub(crate) fn resident_memory(pid: u32) -> u32 {
    status(pid, "VmRSS:")
}

/// Resident memory without the program itself and its libraries, in bytes.
pub(crate) fn anonymous_memory(pid: u32) -> u32 {
    status(pid, "RssAnon:")
}

fn status(pid: u32, field: &str) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u32 = kibibytes
        .and_then(|kibibytes| kibibytes.parse().ok())
        .expect("a number of kibibytes");
    kibibytes * 1024
}
