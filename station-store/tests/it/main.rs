//! The store as a station uses it: messages in, messages out, and the disk between.

mod crash;
mod damage;
mod delete;
mod faults;
mod hash;
mod install;
mod inventory;
mod keys;
mod model;
mod openssl;
mod pki;
mod signed;
