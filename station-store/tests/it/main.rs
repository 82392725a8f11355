//! The store as a station uses it: messages in, messages out, and the disk between.

mod additional_check;
mod crash;
mod damage;
mod delete;
mod disk;
mod faults;
mod format;
mod hash;
mod install;
mod inventory;
mod keys;
mod memory;
mod model;
mod mounts;
mod ocsp;
mod openssl;
mod paths;
mod pki;
mod power;
mod signed;
mod trust;
mod vehicles;
mod versions;
