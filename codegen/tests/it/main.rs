//! Tests of the generator, on schemas made for the tests and on those of the project.

mod committed;
mod generation;
mod official;
mod places;
mod reading;
