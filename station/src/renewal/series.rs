//! One series: a key, the stage of its CSR, and the keys before it whose certificates may still
//! arrive.

use std::time::SystemTime;

/// The stage of a series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A key will be generated.
    Announced,
    /// The key is being generated.
    Making {
        /// How often the generation has failed.
        failures: u32,
    },
    /// The token or the disk has failed. The generation is retried at `due`.
    Again {
        /// How often the generation has failed.
        failures: u32,
        /// When it is retried.
        due: SystemTime,
    },
    /// The CSR is to be sent at `due`.
    Ready {
        /// How often it was accepted before.
        accepted: u32,
        /// When it is sent.
        due: SystemTime,
    },
    /// SignCertificate was sent and is not answered.
    InFlight {
        /// How often it was accepted before this send.
        accepted: u32,
    },
    /// The CSMS has accepted the CSR; it is sent again at `due` (A02.FR.17).
    Waiting {
        /// How often it was accepted.
        accepted: u32,
        /// When it is sent again.
        due: SystemTime,
    },
    /// Nothing is sent before a new trigger (A02.FR.19, .20). A certificate that arrives is
    /// accepted.
    Stopped,
}

/// The state of a CSR that is remembered across a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    /// How often the CSMS has accepted it; a send that is under way counts as accepted.
    pub accepted: u32,
    /// When it is to be sent again. `None`: not before a new trigger.
    pub due: Option<SystemTime>,
}

impl Note {
    /// The note of a CSR that is not sent again.
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

    /// Takes over the keys of `old` whose certificates may still arrive. Returns the keys to drop.
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

    /// Whether the series does not block the renewal of a certificate that is due.
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

/// A kind of key that can be dropped if there is no room for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    /// A key that a newer series has replaced.
    Earlier,
    /// A key whose CSR is not sent again.
    Stopped,
}

/// If a CSMS triggers again before it has answered, there is room for a few late answers. Each is a
/// key in the token.
pub(crate) const MAX_EARLIER: usize = 3;
