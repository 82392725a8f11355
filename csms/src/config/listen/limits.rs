//! The limits of connections and attempts.

use serde::Deserialize;

/// The limits of connections and attempts. An address is an IPv4 address or an IPv6 /64 network.
/// Behind a proxy or a NAT, many stations have the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// Connected stations; default 20000. Further stations wait in the queue of the operating
    /// system.
    pub connections: usize,
    /// Connections that are not admitted yet, also if they are silent; default 8192.
    pub pending: usize,
    /// Handshakes in progress; default 512, at about 100 KiB each.
    pub handshakes: usize,
    /// Handshakes in progress from one address; default 384.
    pub handshakes_per_address: usize,
    /// Wrong passwords of a station from one address. After that the station has one attempt per
    /// minute from this address (HTTP 429); default 5.
    pub wrong_passwords_per_station: u32,
    /// Wrong passwords from one address. After that its logins are verified after the logins of
    /// other addresses; default 30.
    pub wrong_passwords_per_address: u32,
    /// Logins in progress from one address. Above this number they are verified after the logins of
    /// other addresses; default 8.
    pub logins_per_address: usize,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            connections: 20_000,
            pending: 8_192,
            handshakes: 512,
            handshakes_per_address: 384,
            wrong_passwords_per_station: 5,
            wrong_passwords_per_address: 30,
            logins_per_address: 8,
        }
    }
}

impl LimitsSection {
    /// The member that breaks a rule, and the rule.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let counts = [
            ("connections", self.connections),
            ("pending", self.pending),
            ("handshakes", self.handshakes),
            ("handshakes_per_address", self.handshakes_per_address),
            ("wrong_passwords_per_station", self.wrong_passwords_per_station as usize),
            ("wrong_passwords_per_address", self.wrong_passwords_per_address as usize),
            ("logins_per_address", self.logins_per_address),
        ];
        match counts.into_iter().find(|(_, count)| !(1..=MAX_LIMIT).contains(count)) {
            Some((member, _)) => Err((member, "has to be 1 to 1000000")),
            None => Ok(()),
        }
    }
}

/// No machine can hold more connections.
const MAX_LIMIT: usize = 1_000_000;
