//! Tests with real tokens. OpenSSL and webpki verify the results.
//!
//! The faults of a token, and the test that causes each fault and checks that signing recovers or
//! fails cleanly:
//!
//! | fault | on | test |
//! |---|---|---|
//! | wrong PIN: one attempt, by the token's own counter | SoftHSM | `tokens::a_wrong_pin_is_tried_exactly_once` |
//! | wrong PIN in an idle session: one attempt | SoftHSM | `keep_alive::a_refused_pin_is_never_tried_again_by_an_idle_session` |
//! | wrong PINs until the token locks; the right PIN at a locked token | TPM | `tpm::a_tpm_locks_after_three_wrong_pins_and_each_was_tried_once` |
//! | token server killed and started again | p11-kit | `remote::a_server_that_was_killed_and_started_again` |
//! | the same while no signature is requested | p11-kit | `keep_alive::an_idle_token_whose_server_was_killed_heals_before_it_is_needed` |
//! | token server stopped for 5 s | p11-kit | `remote::a_server_that_is_stopped_for_a_while` |
//! | token server stopped for ever | p11-kit | `remote::a_server_that_is_stopped_for_ever` |
//! | the same while no signature is requested | p11-kit | `keep_alive::an_idle_token_that_hangs_is_known_to_before_somebody_waits_for_it` |
//! | token server stopped during any other call | p11-kit | each of `hangs` |
//! | a key that is generated after the deadline of its caller | SoftHSM | `hangs::a_key_that_is_generated_too_late_is_destroyed_again` |
//! | token gone, a spare key in another token | p11-kit | `remote::a_spare_key_signs_while_the_first_token_is_gone` |
//! | TPM without power, and on again | TPM | `tpm::a_tpm_that_loses_its_power` |
//! | resource manager killed and started again | TPM | `tpm::a_tpm_whose_resource_manager_is_started_anew` |
//! | token folder moved away and back | SoftHSM | `faults::the_folder_of_the_token_is_moved_away_and_back` |
//! | key destroyed by another process | SoftHSM | `faults::a_key_is_destroyed_by_another_process` |
//! | C_Finalize by other code in the process | SoftHSM | `faults::a_stranger_finalises_the_module` |
//! | logout in another session | SoftHSM | `signing::a_stranger_logs_out_and_signing_heals` |
//! | the same while no signature is requested | SoftHSM | `keep_alive::a_login_that_a_stranger_ended_is_renewed_while_nobody_signs` |
//! | no session left | TPM | `tpm::a_tpm_that_has_no_session_left` |
//! | more signatures than fit the queue | SoftHSM | `signing::a_full_queue_is_busy_at_once` |
//! | fork while signing | SoftHSM | `faults::processes_are_started_while_signing` |
//! | end of the process while signing, 50 times | SoftHSM | `shutdown::ordered_shutdown_while_signing` |
//! | a daemon that is down | opencryptoki | `opencryptoki::a_daemon_that_is_down` |
//! | a token that keeps destroyed keys | shim | `shim::a_token_that_keeps_keys` |
//! | keys that vanish while they are listed | shim | `shim::keys_that_vanish` |
//! | an empty list of slots, once | shim | `shim::an_empty_list_of_slots` |
//! | eight processes that start at once | SoftHSM | `faults::eight_processes_at_once` |
//! | files that this user may not read | SoftHSM | `faults::tokens_that_are_not_readable` |
//! | a token that cannot be read beside others | SoftHSM | `faults::a_token_that_cannot_be_read_does_not_hide_the_others` |
//! | a missing module, token or slot | SoftHSM | `tokens` |
#![allow(clippy::unwrap_used, reason = "in the helpers of tests, as in tests")]

mod child;
mod counted;
mod csr;
mod editions;
mod faults;
mod hangs;
mod hsm;
mod hsm_keys;
mod issuance;
mod keep_alive;
mod key_kinds;
mod keys;
mod lessons;
mod negative;
mod nss;
mod opencryptoki;
mod openssl;
mod profiles;
mod python;
mod record;
mod refusals;
mod remote;
mod shim;
mod shutdown;
mod signing;
mod softhsm;
mod suite;
mod tls;
mod tokens;
mod tpm;

/// The table above names tests that exist.
#[test]
fn the_table_of_faults_names_tests() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let named = include_str!("main.rs").lines().filter(|line| line.starts_with("//! |"));
    let named: Vec<_> = named.filter_map(|line| line.split('`').nth(1)?.split_once("::")).collect();
    assert!(named.len() >= 20, "{named:?}");
    for (file, test) in named {
        let text = std::fs::read_to_string(folder.join(file).with_extension("rs")).unwrap();
        assert!(text.contains(&format!("#[test]\nfn {test}()")), "{file}::{test}");
    }
}
