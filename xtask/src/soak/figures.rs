//! The figures of a soak, as a table or as JSON.

use serde_json::{Value, json};

use super::{knowledge::Counts, phase::Phase};

/// The results of the rounds.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) stations: u32,
    pub(super) starts: u32,
    pub(super) rounds: u32,
    pub(super) kills: [Kills; Phase::ALL.len()],
    pub(super) most_keys: usize,
    /// Objects that SoftHSM created and did not make a key of, because it was killed.
    pub(super) shells: usize,
    /// Tokens that were lost because SoftHSM was killed while it wrote.
    pub(super) tokens_lost: u32,
    pub(super) keys: usize,
    pub(super) security_events: usize,
    pub(super) checks: u32,
}

/// The kills of one phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kills {
    pub(super) count: u32,
    /// The operation had been answered.
    pub(super) after_answer: u32,
    /// The station was connected by profile 2.
    pub(super) by_profile_2: u32,
}

impl Figures {
    fn total(&self) -> u32 {
        self.kills.iter().map(|kills| kills.count).sum()
    }

    /// One line of progress.
    pub(super) fn progress(&self, rounds: u32, counts: &Counts) -> String {
        format!(
            "round {} of {rounds}: {} kills, {} installed, {} deleted, {} certificates, all as answered; {} keys in the token",
            self.rounds,
            self.total(),
            counts.installed,
            counts.deleted,
            counts.certificates,
            self.keys
        )
    }

    /// The figures for a program.
    pub(super) fn json(&self, seed: u64, counts: &Counts, violation: Option<&str>) -> Value {
        let kills = Phase::ALL.iter().zip(&self.kills).map(|(phase, kills)| {
            let Kills { count, after_answer, by_profile_2 } = kills;
            let kills = json!({ "kills": count, "after_answer": after_answer, "by_profile_2": by_profile_2 });
            (phase.name().to_owned(), kills)
        });
        let connections =
            counts.connections.iter().map(|(profile, count)| (profile.to_string(), json!(count)));
        json!({
            "seed": seed,
            "holds": violation.is_none(),
            "violation": violation,
            "rounds": self.rounds,
            "stations": self.stations,
            "starts": self.starts,
            "checks": self.checks,
            "kills": kills.collect::<serde_json::Map<_, _>>(),
            "installed": counts.installed,
            "deleted": counts.deleted,
            "not_found": counts.not_found,
            "variables": counts.variables,
            "triggers": counts.triggers,
            "requests": counts.requests,
            "certificates": counts.certificates,
            "certificates_rejected": counts.certificates_rejected,
            "lost_answers": counts.lost,
            "call_errors": counts.errors,
            "in_flight_old": counts.kept_old,
            "in_flight_new": counts.kept_new,
            "connections_by_profile": connections.collect::<serde_json::Map<_, _>>(),
            "startups_reported": counts.startups_reported,
            "keys": self.keys,
            "most_keys": self.most_keys,
            "empty_objects_left_by_the_module": self.shells,
            "tokens_lost_by_the_module": self.tokens_lost,
            "security_events": self.security_events,
        })
    }

    /// The figures for a person.
    pub(super) fn print(&self, counts: &Counts) {
        println!("\n{:<34} {:>6} {:>14} {:>14}", "killed while", "kills", "after answer", "on profile 2");
        for (phase, kills) in Phase::ALL.iter().zip(&self.kills) {
            let Kills { count, after_answer, by_profile_2 } = kills;
            println!("{:<34} {count:>6} {after_answer:>14} {by_profile_2:>14}", phase.name());
        }
        println!("{:<34} {:>6}", "in all", self.total());
        let by_profile = |profile| counts.connections.get(&profile).copied().unwrap_or_default();
        println!();
        for (what, value) in [
            ("rounds", u64::from(self.rounds)),
            ("stations, each with a new token", u64::from(self.stations)),
            ("starts of the program", u64::from(self.starts)),
            ("installations accepted", counts.installed),
            ("deletions accepted", counts.deleted),
            ("deletions of roots not installed", counts.not_found),
            ("variables set", counts.variables),
            ("triggers accepted", counts.triggers),
            ("certificate requests", counts.requests),
            ("certificates accepted", counts.certificates),
            ("certificates rejected", counts.certificates_rejected),
            ("answers lost", counts.lost),
            ("calls answered with an error", counts.errors),
            ("in flight, and the old state held", counts.kept_old),
            ("in flight, and the new state held", counts.kept_new),
            ("connections by profile 2", by_profile(2)),
            ("connections by profile 3", by_profile(3)),
            ("starts reported to the CSMS", counts.startups_reported),
            ("keys in the token at the end", self.keys as u64),
            ("most keys at a check", self.most_keys as u64),
            ("empty objects left by the module", self.shells as u64),
            ("tokens lost by the module", u64::from(self.tokens_lost)),
            ("security events in the last log", self.security_events as u64),
        ] {
            println!("{what:<34} {value:>6}");
        }
    }
}
