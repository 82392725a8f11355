//! The stations that may connect: what an operator has set for each, and what the service has
//! learnt of it.

mod changes;
mod file;
mod station;

pub use self::{
    changes::{ShownStation, StationChanges, StationPlace},
    file::{FileFormat, FileProblem, FileProblems, StationFile, csv_head, line},
    station::{EnrolmentRule, FieldError, Learnt, RegisteredStation, Station, StationFields, StationFilter},
};
