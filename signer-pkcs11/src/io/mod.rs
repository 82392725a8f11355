//! The shell: everything that touches a token, a thread, a clock, a file or the environment.

pub(crate) mod authority;
pub(crate) mod control;
pub(crate) mod errand;
pub(crate) mod external;
pub(crate) mod fault;
pub(crate) mod gate;
pub(crate) mod init;
pub(crate) mod inventory;
pub(crate) mod keeper;
pub(crate) mod key;
pub(crate) mod key_error;
pub(crate) mod key_name;
pub(crate) mod login;
pub(crate) mod module;
pub(crate) mod options;
pub(crate) mod pin_source;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod record_file;
pub(crate) mod session;
pub(crate) mod template;
pub(crate) mod tls;
pub(crate) mod token;
pub(crate) mod token_error;
pub(crate) mod worker;
