//! The generator on schemas that were made up for the purpose, and on those of the project.

mod committed;
mod generation;
mod official;
mod places;
mod reading;
