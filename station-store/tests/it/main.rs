//! The store as a station uses it: messages in, messages out, and the disk between.
//!
//! Other stacks have made mistakes that this one should not repeat. Each has a number here, a place
//! where it was seen (an issue, a change, "read" in the source, or an item HUB… of Hubject's audit
//! of stations), and the tests that would detect it. Mistakes in renewal, transport and signing are
//! listed with the tests of those crates.
//!
//! * 1 key of the wrong certificate hashed; case; an expired CA accepted (seen in libevse-security
//!   #11): `openssl::hash_data_equal_what_openssl_ocsp_computes`,
//!   `install::tc_m_07_expired_root_is_rejected_and_not_listed`
//! * 2 wrong digest (seen in libevse-security #37):
//!   `openssl::hash_data_equal_what_openssl_ocsp_computes`
//! * 3 the Name hashed as text (seen in open-ocpp #145, #146):
//!   `openssl::hash_data_equal_what_openssl_ocsp_computes`
//! * 4 the whole SubjectPublicKeyInfo hashed (seen in SAP simulator (read)):
//!   `openssl::hash_data_equal_what_openssl_ocsp_computes`
//! * 5 the serial number as a machine's integer (seen in citrineos #1074):
//!   `openssl::hash_data_equal_what_openssl_ocsp_computes`
//! * 6 20 digits of a serial number instead of up to 40 (seen in ocpp-go #212):
//!   `install::a00_fr_508_serial_numbers_that_hash_data_cannot_carry_are_refused`
//! * 7 deletion that depended on the case (seen in EVerest #2027, HUB-283-004, HUB20-413-001):
//!   `delete::m04_spelling_of_the_hash_does_not_matter`
//! * 8 a padded serial number not matched (seen in MicroOcpp (read)):
//!   `delete::m04_spelling_of_the_hash_does_not_matter`
//! * 9 leading zeros in the output (seen in open-ocpp (read)):
//!   `install::a00_fr_508_serial_numbers_that_hash_data_cannot_carry_are_refused`,
//!   `openssl::hash_data_equal_what_openssl_ocsp_computes`
//! * 10 lenient encodings (seen in MaEVe 1be65fb, 28b1ecd, e204a59):
//!   `install::m05_fr_07_exactly_one_certificate`
//! * 11 hash data refused by invented rules (seen in ocpp-jaxb #32):
//!   `delete::m04_fr_04_hash_data_that_name_nothing_are_not_found`
//! * 12 hashAlgorithm lost in a conversion (seen in EVerest (read)):
//!   `versions::hash_data_survive_every_conversion`
//! * 13 a crash if the issuer is unknown (seen in everest-demo #25):
//!   `format::a_store_of_format_1_is_migrated_and_nothing_is_lost`,
//!   `vehicles::a02_fr_06_cross_signed_root_in_the_chain`
//! * 14 only one of several chains listed (seen in libevse-security #101, #104):
//!   `vehicles::m03_fr_05_every_chain_of_every_secc_is_listed`
//! * 15 children in the wrong order (seen in libevse-security #102, #103):
//!   `vehicles::tc_m_15_m03_fr_05_chain_is_listed_with_its_sub_cas`
//! * 16 an empty list of children (seen in libocpp #227, #242):
//!   `vehicles::m03_fr_05_leaf_without_sub_cas_has_no_children`
//! * 17 Accepted with an empty list (seen in libocpp #391, #449, #1035):
//!   `inventory::tc_m_19_nothing_found_omits_the_list`
//! * 18 a leaf without its sub-CAs, in the list and in TLS (seen in libocpp #89, #305, #380):
//!   `vehicles::tc_m_15_m03_fr_05_chain_is_listed_with_its_sub_cas`,
//!   `signed::a02_fr_08_leaf_with_sub_cas_in_order`
//! * 19 accepted as a root, but not manageable (seen in EVerest #2109):
//!   `install::m05_fr_07_only_roots_are_installed`,
//!   `model::accepted_is_listed_is_deletable_in_2500_sequences`
//! * 20 sub-CAs as anchors (seen in libevse-security #71, #56):
//!   `lessons::lesson_20_sub_cas_of_accepted_chains_are_no_anchors`,
//!   `install::m05_fr_07_only_roots_are_installed`
//! * 21 cross-signed roots not supported (seen in EVerest #1660):
//!   `vehicles::a02_fr_06_cross_signed_root_in_the_chain`,
//!   `vehicles::a02_fr_06_cross_signed_root_in_the_chain_for_the_connection`,
//!   `signed::a02_fr_06_roots_that_share_a_name`,
//!   `additional_check::m05_cross_signed_root_beside_the_self_signed_one`
//! * 22 a single leaf refused; a root in the chain accepted as proof (seen in open-ocpp #230,
//!   HUB20-42-004): `signed::a02_fr_08_leaf_below_the_root`, `signed::a02_fr_07_root_in_the_chain`
//! * 23 roots of all uses in one store, or each for one use only (seen in libocpp #35,
//!   everest-demo #127): `signed::a02_fr_06_root_of_another_use_does_not_count`,
//!   `vehicles::a02_fr_06_hierarchy_of_the_use_counts`,
//!   `install::m05_the_same_certificate_may_serve_several_uses`
//! * 24 sub-CAs in the wrong order; one chain for all roots (seen in HUB20-412-001, HUB20-42-002):
//!   `signed::a02_fr_07_wrong_order_or_missing_links`, `lessons::lesson_24_one_chain_for_each_root`
//! * 25 text around the blocks (seen in MaEVe (read)):
//!   `openssl::text_around_the_armour_is_let_through`
//! * 26 chain and key left behind (seen in libevse-security #111, #112):
//!   `vehicles::m04_fr_08_leaf_and_sub_cas_delete_the_chain_and_its_key`,
//!   `keys::a_dropped_key_is_remembered_until_it_is_destroyed`
//! * 27 a CA deleted without a check of its hashes (seen in libocpp 05d32116):
//!   `delete::m04_fr_04_hash_data_that_name_nothing_are_not_found`
//! * 28 a V2G leaf refused (seen in EVerest (read)):
//!   `vehicles::m04_fr_08_leaf_and_sub_cas_delete_the_chain_and_its_key`
//! * 29 "in use" by a flag that was never set (seen in open-ocpp (read)):
//!   `versions::v16_m04_fr_06_root_in_use_is_not_deleted`
//! * 30 hashAlgorithm not checked (seen in open-ocpp (read)):
//!   `delete::m04_fr_04_hash_data_that_name_nothing_are_not_found`
//! * 30a a sub-CA that was listed but not found (seen in tfocpp (read)):
//!   `vehicles::m04_fr_08_leaf_and_sub_cas_delete_the_chain_and_its_key`,
//!   `model::accepted_is_listed_is_deletable_in_2500_more`
//! * 30b a failed deletion answered Accepted (seen in tfocpp (read)):
//!   `faults::m04_fr_03_deletion_that_is_not_durable_is_failed`,
//!   `crash::accepted_survives_sigkill`, `power::power_lost_at_every_write_and_sync`
//! * 30c deleted before it was written (seen in tfocpp (read)):
//!   `power::power_lost_at_every_write_and_sync`, `install::m05_fr_17_the_same_again_replaces`
//! * 31 keys of certificates in use destroyed (seen in libevse-security #65):
//!   `keys::a02_fr_10_the_certificate_that_did_not_connect_is_discarded`,
//!   `power::power_lost_at_every_write_and_sync`
//! * 32 waits in the wrong unit (seen in EVerest #1982, libocpp #969, #970):
//!   `keys::a02_fr_18_sends_are_noted_over_a_restart`
//! * 35 the DC of an SECC not checked (seen in EVerest #2119):
//!   `vehicles::tc_a_12_lesson_35_domain_component_and_country`
//! * 40 certificateType left out (seen in citrineos #1054, libocpp #514):
//!   `signed::a02_fr_13_other_certificate_type`, `vehicles::a02_combined_certificate_serves_both`
//! * 44 invented reason codes (seen in EVerest #2606):
//!   `lessons::lesson_44_reason_codes_are_of_the_official_list`
//! * 45 certificates that are not valid yet, and OCSP for them (seen in libevse-security #24, #108,
//!   #110):
//!   `signed::a02_fr_06_outside_its_validity`,
//!   `lessons::lesson_45_no_certificate_of_the_future_and_no_ocsp_for_it`
//! * 46 the assumption of one SECC (seen in EVerest #1655):
//!   `vehicles::m03_fr_05_every_chain_of_every_secc_is_listed`
//! * 47 the newest by notAfter (seen in EVerest #1658, libevse-security #83):
//!   `vehicles::a02_fr_15_the_newest_by_not_before_is_preferred`
//! * 50 no sign in the log that the clock was wrong (seen in EVerest #1662):
//!   `install::tc_m_07_expired_root_is_rejected_and_not_listed`,
//!   `signed::a02_fr_06_outside_its_validity`
//! * 51 no tolerance for the clocks (seen in HUB20-42-001):
//!   `install::m05_fr_07_clocks_may_differ_by_the_skew`
//! * 52 a rotation of the root cut off the fleet (seen in SmartEVSE-3.5 #363):
//!   `lessons::lesson_52_old_and_new_root_are_trusted_side_by_side`,
//!   `additional_check::tc_m_31_connected_with_the_fallback_root`
//! * 53 a bundle broken by a loss of power (seen in libevse-security #115):
//!   `power::power_lost_at_every_write_and_sync`, `trust::bundles_are_derived_and_never_read`
//! * 54 limits in files and megabytes (seen in libevse-security #36, #47):
//!   `install::m05_fr_06_more_than_max_limit_is_rejected`,
//!   `lessons::lesson_54_55_limits_count_entries_over_all_uses_and_for_each`
//! * 55 a sum that kept only its last part (seen in EVerest #1961):
//!   `lessons::lesson_54_55_limits_count_entries_over_all_uses_and_for_each`
//! * 57 a key repeated in a log (seen in libevse-security (read)):
//!   `install::m05_fr_07_exactly_one_certificate`
//! * 58 a file that all users can read (seen in shiv3 #94, #97):
//!   `damage::the_file_is_for_its_owner_only`
//! * 59 not written atomically (seen in OpenEVSE #1246, #1267):
//!   `power::power_lost_at_every_write_and_sync`, `power::power_lost_while_making_and_migrating`
//! * 60 the serial number as the name of a file (seen in SAP simulator (read)):
//!   `lessons::lesson_60_serial_numbers_name_no_files_and_need_not_differ`,
//!   `delete::m04_fr_04_hash_data_that_name_nothing_are_not_found`
//! * 61 spaces instead of line breaks (seen in MicroOcpp #147):
//!   `install::m05_fr_07_exactly_one_certificate`
//! * 62 a copy that was out of date (seen in libevse-security #123):
//!   `trust::bundles_follow_the_store`, `trust::bundles_are_derived_and_never_read`
//! * 63 an OCSP answer stored under a wrong hash (seen in libevse-security #58):
//!   `ocsp::m06_fr_08_answers_that_do_not_fit`
//! * 63a bounds of the schema that are not checked (seen in EVerest (read)):
//!   `vehicles::m03_fr_05_more_than_four_sub_cas_are_refused_at_the_door`,
//!   `signed::a02_fr_16_chain_too_large`, `versions::m06_ocsp_request_data_of_both_versions`,
//!   `inventory::tc_m_19_nothing_found_omits_the_list`, `keys::one_public_key_belongs_to_one_name`

mod additional_check;
mod crash;
mod damage;
mod delete;
mod disk;
mod faults;
mod format;
mod install;
mod inventory;
mod keys;
mod lessons;
mod memory;
mod model;
mod mounts;
mod ocsp;
mod openssl;
mod operations;
mod paths;
mod pki;
mod power;
mod signed;
mod trust;
mod vehicles;
mod versions;
