//! What the ledger remembers, by subject.

mod certificates;
mod deliveries;
mod passwords;
#[cfg(test)]
mod plans;
pub(crate) mod registry;
mod requests;
mod stations;

#[cfg(test)]
mod tests;
