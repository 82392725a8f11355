//! The measured values, round by round.

use std::collections::BTreeMap;

use super::server::Contestant;
use crate::bench::report::{median, number};

/// Values by name and contestant, one per round.
#[derive(Default)]
pub(super) struct Samples(BTreeMap<(String, Contestant), Vec<f64>>);

impl Samples {
    pub(super) fn add(&mut self, name: &str, contestant: Contestant, value: f64) {
        self.0.entry((name.to_owned(), contestant)).or_default().push(value);
    }

    fn values(&self, name: &str, contestant: Contestant) -> &[f64] {
        self.0.get(&(name.to_owned(), contestant)).map_or(&[], Vec::as_slice)
    }

    /// The median over the rounds.
    pub(super) fn median(&self, name: &str, contestant: Contestant) -> f64 {
        median(self.values(name, contestant).to_vec())
    }

    /// The median of the ratios of our value to another's in the same round, which had the same
    /// load of the machine.
    pub(super) fn ratio(&self, name: &str, other: Contestant) -> f64 {
        let pairs = self.values(name, Contestant::Ours).iter().zip(self.values(name, other));
        median(pairs.map(|(ours, other)| ours / other).collect())
    }

    /// One row per name, one column per contestant.
    pub(super) fn table(&self, title: &str, names: &[(String, &str)]) -> Vec<Vec<String>> {
        let mut heading = vec![title.to_owned()];
        heading.extend(Contestant::ALL.iter().map(|contestant| contestant.name().to_owned()));
        let row = |(name, unit): &(String, &str)| {
            let cell = |contestant: &Contestant| match self.median(name, *contestant) {
                value if value.is_nan() => "-".to_owned(),
                value => number(value, unit),
            };
            std::iter::once(name.clone()).chain(Contestant::ALL.iter().map(cell)).collect()
        };
        std::iter::once(heading).chain(names.iter().map(row)).collect()
    }
}
