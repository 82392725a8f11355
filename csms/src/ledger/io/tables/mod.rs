//! What the ledger remembers, by subject.

mod certificates;
mod deliveries;
mod passwords;
mod requests;
mod stations;

#[cfg(test)]
mod tests;
