//! Time, as an argument: the system's clock and one that tests turn by hand.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A moment, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The last moment of the years that RFC 3339 can write. What lies beyond is nobody's.
const END_OF_9999: Timestamp = Timestamp(253_402_300_799_999);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, the unit of OAuth's numeric dates.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// How long ago `earlier` was; zero when it is in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// In RFC 3339, to the second: `2026-01-01T00:00:00Z`.
    pub fn to_rfc3339(self) -> String {
        humantime::format_rfc3339_seconds(self.written()).to_string()
    }

    /// The same to the millisecond: `2026-01-01T00:00:00.000Z`.
    pub fn to_rfc3339_millis(self) -> String {
        humantime::format_rfc3339_millis(self.written()).to_string()
    }

    fn written(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.min(END_OF_9999).0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({}ms)", self.0)
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the time comes from"
    )]
    fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that stands still until somebody turns it, for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.0))
    }

    /// Turns the clock forward.
    pub fn advance(&self, by: Duration) {
        let later = self.now() + by;
        self.0.store(later.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339_has_them_and_none_is_too_late_for_it() {
        // RFC 3339 §5.8.
        let example = Timestamp::from_millis(482_196_050_520);
        assert_eq!(example.to_rfc3339_millis(), "1985-04-12T23:20:50.520Z");
        assert_eq!(example.to_rfc3339(), "1985-04-12T23:20:50Z");
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(end.to_rfc3339_millis(), "9999-12-31T23:59:59.999Z");
    }
}
