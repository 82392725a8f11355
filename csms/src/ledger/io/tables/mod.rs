//! What the ledger remembers, by subject.

mod certificates;
mod deliveries;
mod passwords;
#[cfg(test)]
mod plans;
mod requests;
mod stations;

#[cfg(test)]
mod tests;
