//! One series: a key, how far its CSR has come, and the keys before it whose certificates may still
//! come.

use std::time::SystemTime;

/// How far a series has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A key is to be made.
    Announced,
    /// The key is being made.
    Making {
        /// How often that has failed.
        failures: u32,
    },
    /// The token or the disk has failed; it is tried again at `due`.
    Again {
        /// How often.
        failures: u32,
        /// When.
        due: SystemTime,
    },
    /// The CSR is to be sent at `due`; it was accepted so many times before.
    Ready {
        /// Accepted sends.
        accepted: u32,
        /// When.
        due: SystemTime,
    },
    /// SignCertificate was sent and is not answered.
    InFlight {
        /// Accepted sends before this one.
        accepted: u32,
    },
    /// The CSMS has accepted the CSR; it is sent again at `due` (A02.FR.17).
    Waiting {
        /// Accepted sends.
        accepted: u32,
        /// When.
        due: SystemTime,
    },
    /// Nothing is sent before a new trigger (A02.FR.19, .20). A certificate that comes is accepted.
    Stopped,
}

/// What is remembered of a CSR over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    /// How often the CSMS has accepted it, the send that is under way counted as accepted.
    pub accepted: u32,
    /// When it is to be sent again. `None`: not before a new trigger.
    pub due: Option<SystemTime>,
}

impl Note {
    /// Of a CSR that is not sent again.
    pub const STOPPED: Self = Self { accepted: u32::MAX, due: None };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Series<P> {
    pub(super) pending: P,
    pub(super) stage: Stage,
    /// Whether the CSMS may know the CSR.
    pub(super) sent: bool,
    /// Whether the clock was set since it stopped.
    pub(super) by_wrong_clock: bool,
    /// Keys of series that this one has replaced, the oldest first, at most [`MAX_EARLIER`].
    pub(super) earlier: Vec<P>,
}

impl<P: Copy + Eq> Series<P> {
    pub(super) fn new(pending: P, stage: Stage) -> Self {
        let sent = matches!(stage, Stage::Waiting { .. } | Stage::Stopped);
        Self { pending, stage, sent, by_wrong_clock: false, earlier: Vec::new() }
    }

    /// Takes over the keys of `old` whose certificates may still come; returns those that are given
    /// up.
    pub(super) fn inherit(&mut self, old: Self) -> Vec<P> {
        let mut dropped = Vec::new();
        self.earlier = old.earlier;
        if old.sent {
            self.earlier.push(old.pending);
        } else {
            dropped.push(old.pending);
        }
        while self.earlier.len() > MAX_EARLIER {
            dropped.push(self.earlier.remove(0));
        }
        dropped
    }

    /// The oldest key of this kind.
    pub(super) fn oldest_spare(&self, tier: Spare) -> Option<P> {
        match tier {
            Spare::Earlier => self.earlier.first().copied(),
            Spare::Stopped => (self.stage == Stage::Stopped).then_some(self.pending),
        }
    }

    /// Whether it does not keep a certificate from being renewed when it is due.
    pub(super) fn is_idle(&self) -> bool {
        self.by_wrong_clock && self.stage == Stage::Stopped
    }

    pub(super) fn knows(&self, pending: P) -> bool {
        self.keys().any(|key| key == pending)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = P> {
        self.earlier.iter().copied().chain([self.pending])
    }
}

/// A key that can be given up where there is no room for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    /// One that a newer series has replaced.
    Earlier,
    /// One whose CSR is not sent again.
    Stopped,
}

/// A CSMS that triggers again before it has answered gets room for a few late answers; each is a
/// key in the token.
pub(crate) const MAX_EARLIER: usize = 3;
