//! The station as a process, with a CSMS that is not ours: Python's `ocpp`, which checks the
//! messages of both sides against the schemas.
//!
//! Test cases of OCPP 2.0.1, Part 6 (Edition 3 with the errata of 2025-09), for charging stations.
//! Each test checks the messages on the wire and the inventory after them; all pass. TC_B_48 is
//! missing in the available editions. The test cases of OCPP 1.6 follow below.
//!
//! * TC_A_05: `bad_server::tc_a_05_expired`, `bad_server::tc_a_05_not_yet_valid`,
//!   `bad_server::tc_a_05_a00_fr_308_another_authority`,
//!   `bad_server::tc_a_05_a00_fr_309_wrong_common_name`, `bad_server::tc_a_05_wildcard`
//! * TC_A_06: `bad_server::tc_a_06_a00_fr_317_tls_that_is_too_old`
//! * TC_A_09:
//!   `device_model::tc_a_09_a_new_password_holds_from_the_next_connection_on_and_after_a_restart`
//! * TC_A_10: `device_model::tc_a_10_a_short_password_is_rejected_and_the_old_one_stays`
//! * TC_A_11: `tc_a_renewal::tc_a_11_renew_the_station_certificate`
//! * TC_A_12: `tc_a_vehicles::tc_a_12_renew_the_certificate_of_each_secc`
//! * TC_A_14: `tc_a_renewal::tc_a_14_an_invalid_certificate_is_rejected_and_reported`
//! * TC_A_15: `tc_a_renewal::tc_a_15_a_rejected_request_changes_nothing`
//! * TC_A_19: `tc_b_network::tc_a_19_upgrade_to_profile_3_and_no_way_back`
//! * TC_A_20: `src/device_model/tests::tc_a_20_a05_fr_02_no_higher_profile_without_a_root`
//! * TC_A_21:
//!   `device_model::tc_a_21_tc_a_22_b09_profiles_are_stored_and_only_usable_ones_are_put_in_order`,
//!   `src/device_model/tests::tc_a_21_a05_fr_03_no_profile_3_without_a_certificate`
//! * TC_A_22:
//!   `device_model::tc_a_21_tc_a_22_b09_profiles_are_stored_and_only_usable_ones_are_put_in_order`,
//!   `src/device_model/tests::tc_a_22_a05_fr_08_to_10_downgrades`
//! * TC_A_23: `tc_a_renewal::tc_a_23_the_request_is_sent_again_after_one_wait_and_twice_that_wait`
//! * TC_B_30: `enrolment::tc_b_30_a_station_whose_boot_was_rejected_serves_nobody`
//! * TC_B_45: `tc_b_network::tc_b_45_migrate_to_another_csms_under_the_same_root`
//! * TC_B_46: `tc_b_network::tc_b_46_fall_back_to_the_next_profile`,
//!   `tc_b_network::tc_b_46_fall_back_of_a_station_without_a_certificate`
//! * TC_B_47: `tc_b_network::tc_b_47_fall_back_to_the_old_csms_by_the_old_root`
//! * TC_B_49: `tc_b_network::tc_b_49_fall_back_to_the_profile_that_worked_last`
//! * TC_B_50: `tc_b_network::tc_b_50_migrate_to_another_csms_under_a_new_root`,
//!   `tc_b_network::tc_b_50_migrate_with_the_additional_check`
//! * TC_F_27: `tc_a_renewal::tc_f_27_a_trigger_that_is_not_implemented`
//! * TC_M_01: `tc_m_install::tc_m_01_install_csms_root`
//! * TC_M_02: `tc_m_install::tc_m_02_install_manufacturer_root`
//! * TC_M_03: `tc_m_install::tc_m_03_install_v2g_root`
//! * TC_M_04: `tc_m_install::tc_m_04_install_mo_root`
//! * TC_M_07: `tc_m_install::tc_m_07_install_expired_root_is_rejected_and_not_listed`
//! * TC_M_09: `tc_m_additional_check::tc_m_09_a_root_that_the_old_one_did_not_sign_is_rejected`
//! * TC_M_12: `tc_m_inventory::tc_m_12_list_csms_root`
//! * TC_M_13: `tc_m_inventory::tc_m_13_list_manufacturer_root`
//! * TC_M_14: `tc_m_inventory::tc_m_14_list_v2g_root`
//! * TC_M_15: `tc_a_vehicles::tc_m_15_list_the_chain_with_its_sub_cas`
//! * TC_M_16: `tc_m_inventory::tc_m_16_list_mo_root`
//! * TC_M_17: `tc_m_inventory::tc_m_17_two_types_at_once`
//! * TC_M_18: `tc_m_inventory::tc_m_18_all_types`
//! * TC_M_19: `tc_m_inventory::tc_m_19_nothing_found`
//! * TC_M_20: `tc_m_delete::tc_m_20_delete_a_listed_root`
//! * TC_M_22: `tc_m_delete::tc_m_22_delete_an_unknown_certificate`
//! * TC_M_23: `tc_m_delete::tc_m_23_delete_own_certificate`
//! * TC_M_24: `tc_a_vehicles::tc_m_24_the_status_of_leaf_and_sub_cas_is_asked_for`
//! * TC_M_25: `tc_a_vehicles::tc_m_25_a_status_that_nobody_knows_hinders_nothing`
//! * TC_M_30: `tc_m_additional_check::tc_m_30_connected_with_the_new_root_the_old_one_goes`
//! * TC_M_31: `tc_m_additional_check::tc_m_31_the_server_stays_under_the_old_root_and_both_stay`
//!
//! Test cases of OCPP 1.6 with its security whitepaper, for charge points. The security log and
//! signed firmware (TC_079 to TC_081) are outside this program.
//!
//! * TC_073:
//!   `v16::tc_073_a_new_authorization_key_holds_from_the_next_connection_on_and_after_a_restart`,
//!   `src/device_model/tests/v16::tc_073_an_authorization_key_is_kept_as_bytes_over_a_restart`
//! * TC_074: `v16::tc_074_tc_087_the_certificate_is_renewed_and_connects_by_profile_3`
//! * TC_075_1: `v16::tc_075_1_tc_075_2_roots_are_installed_and_listed`
//! * TC_075_2: `v16::tc_075_1_tc_075_2_roots_are_installed_and_listed`
//! * TC_076: `v16::tc_076_roots_are_deleted_by_each_algorithm_and_the_one_in_use_is_not`
//! * TC_077: `v16::tc_077_an_invalid_certificate_is_rejected_and_reported`
//! * TC_078: `v16::tc_078_an_invalid_root_for_the_central_system_is_rejected_and_reported`
//! * TC_083: `v16::tc_083_the_security_profile_is_raised`
//! * TC_084:
//!   `v16::tc_084_the_security_profile_is_neither_lowered_nor_raised_without_a_certificate`,
//!   `src/device_model/tests/v16::tc_084_a05_fr_01_to_05_when_the_security_profile_is_raised`
//! * TC_085: `v16::tc_085_the_key_of_the_factory_is_sent_as_the_bytes_that_its_digits_stand_for`
//! * TC_086: `v16::tc_086_an_invalid_server_certificate_is_refused_and_reported`
//! * TC_087: `v16::tc_074_tc_087_the_certificate_is_renewed_and_connects_by_profile_3`
//!
//! Mistakes of other stacks, by their number in this project. The mistakes that concern the store
//! are listed with its tests.
//!
//! * 12 hashAlgorithm lost in a conversion (seen in EVerest (read)):
//!   `tc_a_vehicles::tc_m_24_the_status_of_leaf_and_sub_cas_is_asked_for`
//! * 16 an empty list of children (seen in libocpp #227, #242):
//!   `tc_m_inventory::tc_m_14_list_v2g_root`,
//!   `tc_a_vehicles::lesson_40_one_certificate_for_the_connection_and_for_vehicles`
//! * 17 Accepted with an empty list (seen in libocpp #391, #449, #1035):
//!   `tc_m_inventory::tc_m_19_nothing_found`
//! * 18 TLS with the leaf only (seen in libocpp #305, #380):
//!   `lessons::lesson_18_the_station_presents_its_sub_cas_too`
//! * 19 accepted as a root, but not manageable; 7, 8 hash data spelt differently (seen in EVerest
//!   #2109, #2027, HUB-283-004):
//!   `lessons::lesson_19_what_is_no_root_is_rejected_and_what_is_accepted_is_listed_and_deletable`
//! * 23 a CSMS proved by the root of another use (seen in libocpp #35, everest-demo #127):
//!   `lessons::lesson_23_a_csms_is_believed_by_csms_roots_only`
//! * 25 text around the blocks; 61 lost line breaks (seen in MaEVe, MicroOcpp #147):
//!   `lessons::lesson_25_61_pem_as_others_write_it`
//! * 26 key left behind (seen in libevse-security #111, #112):
//!   `tc_a_vehicles::lesson_26_with_a_chain_goes_its_key`
//! * 29 in use by a flag that was never set (seen in open-ocpp (read)):
//!   `v16::tc_076_roots_are_deleted_by_each_algorithm_and_the_one_in_use_is_not`
//! * 31 keys of certificates in use destroyed (seen in libevse-security #65):
//!   `lessons::lesson_31_the_token_holds_the_key_in_use_and_no_other`
//! * 32 waits in the wrong unit, and a first wait doubled (seen in EVerest #1982, libocpp #969,
//!   #970): `tc_a_renewal::tc_a_23_the_request_is_sent_again_after_one_wait_and_twice_that_wait`,
//!   `src/renewal/tests::tc_a_23_a02_fr_17_to_19_resends_double_and_end`
//! * 33 a trigger accepted, but nothing sent (seen in EVerest #2479):
//!   `lessons::lesson_33_a_trigger_that_was_accepted_leads_to_a_request`,
//!   `src/renewal/tests::f06_fr_10_announced_key_survives_a_restart`
//! * 34 no second attempt in OCPP 1.6 (seen in EVerest #1995, libocpp #592):
//!   `v16::lesson_34_a_request_that_was_not_answered_by_a_certificate_is_sent_again_on_the_next_connection`
//! * 35 keyUsage of a request; 36 its label and version; 41 RSA-PSS (seen in libevse-security #106,
//!   EVerest #2096, MaEVe 4d6ec70, SteVe #2093):
//!   `lessons::lesson_35_36_the_request_is_as_plain_as_can_be`
//! * 40 a type that is left out (seen in citrineos #1054, libocpp #514):
//!   `tc_a_vehicles::lesson_40_one_certificate_for_the_connection_and_for_vehicles`
//! * 42, 78 order of answers, and a socket closed too early (seen in SteVe, Citrine, SAP simulator,
//!   tfocpp (read)):
//!   `lessons::lesson_42_78_a_certificate_that_comes_at_once_is_answered_before_the_station_reconnects`,
//!   `tc_a_renewal::tc_a_11_renew_the_station_certificate`
//! * 44 a value that an enumeration does not know, and no answer (seen in EVerest #2606):
//!   `lessons::lesson_44_what_is_not_in_the_schema_is_answered_and_changes_nothing`
//! * 45 certificates that are not valid yet (seen in libevse-security #24):
//!   `tc_a_renewal::tc_a_14_an_invalid_certificate_is_rejected_and_reported`
//! * 46 the assumption of one SECC (seen in EVerest #1655):
//!   `tc_a_vehicles::tc_a_12_renew_the_certificate_of_each_secc`,
//!   `src/renewal/tests::a02_v2g_series_of_each_secc_are_independent`
//! * 48 thirty days, and short-lived certificates in a loop (seen in libocpp #1032):
//!   `tc_a_renewal::lesson_48_a03_fr_02_a_certificate_is_renewed_before_its_end_and_not_in_a_loop`,
//!   `src/renewal/tests::a03_fr_02_renewed_before_it_expires`
//! * 49 a flood of events (seen in libocpp #1156):
//!   `lessons::lesson_49_one_event_for_each_episode_of_failures`
//! * 50 no sign in the log that the clock was wrong (seen in EVerest #1662):
//!   `lessons::lesson_50_the_log_tells_the_time_and_the_validity`
//! * 51 no tolerance for the clocks (seen in HUB20-42-001):
//!   `lessons::lesson_51_a_certificate_may_begin_in_a_few_minutes`
//! * 52 a rotation of the root cut off the fleet (seen in SmartEVSE-3.5 #363):
//!   `tc_b_network::tc_b_50_migrate_to_another_csms_under_a_new_root`,
//!   `tc_m_additional_check::tc_m_31_the_server_stays_under_the_old_root_and_both_stay`
//! * 56 an empty password (seen in EVerest #1654):
//!   `lessons::lesson_56_without_a_password_worth_the_name_the_station_does_not_start`
//! * 57 secrets in the log; 58 files that all users can read (seen in libevse-security
//!   (read), shiv3 #94, #97):
//!   `lessons::lesson_57_58_no_secret_in_logs_and_no_file_for_everybody`
//! * 64 certificates over a connection without TLS (seen in libocpp #857, #863):
//!   `lessons::lesson_64_no_connection_without_tls`
//! * 65 hosts and wildcards (seen in libocpp #494, #516): `bad_server::tc_a_05_wildcard`,
//!   `bad_server::tc_a_05_a00_fr_309_wrong_common_name`
//! * 66 messages before the boot was accepted (seen in libocpp #984):
//!   `lessons::lesson_66_nothing_is_said_before_the_boot_is_accepted`
//! * 67 an answer that ends a thread (seen in libocpp #1140, EVerest #2246):
//!   `lessons::lesson_67_answers_that_cannot_be_read_end_nothing`
//! * 68 a status request that blocks everything (seen in libocpp #1097):
//!   `tc_a_vehicles::lesson_68_a_status_that_takes_its_time_holds_nobody_up`
//! * 69 certificates without a responder (seen in libocpp #652):
//!   `tc_a_vehicles::lesson_69_certificates_without_a_responder`
//! * 70 no event for a CSMS whose certificate is not valid (seen in libocpp #417, #419):
//!   `bad_server::tc_a_05_expired`, `bad_server::tc_a_05_a00_fr_308_another_authority`,
//!   `lessons::lesson_49_one_event_for_each_episode_of_failures`

mod bad_server;
mod clock;
mod control;
mod device_model;
mod disk_full;
mod enrolment;
mod events;
mod files;
mod iso15118;
mod key_kinds;
mod lessons;
mod python;
mod renew;
mod renewing;
mod reusable;
mod stage;
mod start;
mod tc_a_renewal;
mod tc_a_vehicles;
mod tc_b_network;
mod tc_m_additional_check;
mod tc_m_delete;
mod tc_m_install;
mod tc_m_inventory;
mod v16;
mod v21;
