//! The files that a program leaves on a real disk, and its standard output.

mod files;
