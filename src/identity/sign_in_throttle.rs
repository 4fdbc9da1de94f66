//! Bounds guessing at sign-in. Only failures count: an attempt takes a token and a success gives
//! it back, so that parallel guesses cannot slip through between a check and a count.

use std::{net::IpAddr, time::Duration};

use crate::{
    clock::Timestamp,
    web::{
        client_address::limit_key,
        throttle::{RetryAfter, Throttle},
    },
};

/// How much failure is borne.
#[derive(Debug, Clone, Copy)]
pub struct SignInLimits {
    /// From one address.
    pub per_address: u32,
    /// From everywhere.
    pub overall: u32,
    /// How long until one failure of an address is forgotten. Those of all addresses together are
    /// forgotten faster, in proportion to the two limits.
    pub decay: Duration,
}

/// Counts failed sign-ins by address and overall.
#[derive(Debug)]
pub struct SignInThrottle {
    by_address: Throttle<IpAddr>,
    overall: Throttle<()>,
}

impl SignInThrottle {
    /// Nothing has failed yet.
    pub fn new(limits: SignInLimits) -> Self {
        let ratio = f64::from(limits.per_address) / f64::from(limits.overall);
        Self {
            by_address: Throttle::new(limits.per_address, limits.decay),
            overall: Throttle::new(limits.overall, limits.decay.mul_f64(ratio)),
        }
    }

    /// Begins an attempt; it counts as a failure until it [succeeds](Self::succeeded).
    pub fn attempt(&self, address: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        let address = limit_key(address);
        self.overall.take(&(), now)?;
        self.by_address
            .take(&address, now)
            .inspect_err(|_| self.overall.give_back(&(), now))
    }

    /// The attempt was no failure.
    pub fn succeeded(&self, address: IpAddr, now: Timestamp) {
        self.by_address.give_back(&limit_key(address), now);
        self.overall.give_back(&(), now);
    }
}
