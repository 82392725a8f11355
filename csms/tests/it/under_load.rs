//! More logins than the service can verify: their cost, and that every honest station connects.

use std::{
    fs,
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher as _};
use tokio::{runtime::Runtime, task::JoinSet, time::timeout};

use crate::{
    herd::{Herd, Outcome, Tally, Target, identity, own_address, shared_address},
    stage::{PASSWORD, Stage},
};

/// A stage with additional stations. All have the password of the stage, hashed with 19 MiB and
/// this number of passes.
fn stage(stations: usize, passes: u32) -> Stage {
    rlimit::increase_nofile_limit(u64::MAX).expect("open files");
    let stage = Stage::prepare();
    let mut text = fs::read_to_string(stage.path("csms.toml")).expect("reads");
    let params = Params::new(Params::DEFAULT_M_COST, passes, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(PASSWORD.as_bytes(), b"a salt of the herd").expect("hashes");
    for number in 0..stations {
        let name = identity(number);
        text += &format!(
            "[[station]]\nidentity = \"{name}\"\nserial_number = \"{name}\"\npassword_hash = \"{hash}\"\n"
        );
    }
    fs::write(stage.path("csms.toml"), text).expect("writes");
    stage
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// The peak of the program's resident memory, in MiB.
fn peak_mib(stage: &Stage) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", stage.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kib / 1024
}

/// A value of the metrics; 0 if it is absent.
async fn metric(stage: &Stage, line: &str) -> u64 {
    let text = stage.operate(&["metrics"]).await.expect("metrics");
    let text = text.as_str().expect("a text").to_owned();
    let found = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or(0)
}

#[test]
fn under_load_two_thousand_stations_return_three_times_within_1_gib() {
    let mut stage = stage(2_000, 1);
    let runtime = runtime();
    for restart in 1..=3 {
        stage.launch();
        let tally = Arc::new(Tally::default());
        let herd = Herd {
            stations: 2_000,
            patience: Duration::from_secs(30),
            retry: Duration::from_secs(5),
            address: own_address,
        };
        let open = runtime.block_on(herd.run(&Target::of(&stage), PASSWORD, &tally));
        assert_eq!(open.len(), 2_000);
        let peak = peak_mib(&stage);
        println!("restart {restart}: {peak} MiB at most, {tally:?}");
        assert!(peak < 1024, "{peak} MiB: {tally:?}");
        drop(open);
        stage.kill();
    }
}

#[test]
fn under_load_an_impatient_herd_converges() {
    let mut stage = stage(1_500, 2);
    stage.launch();
    let tally = Arc::new(Tally::default());
    // All stations share one address, which gets three quarters of the turns.
    let herd = Herd {
        stations: 1_500,
        patience: Duration::from_secs(5),
        retry: Duration::from_secs(5),
        address: shared_address,
    };
    let runtime = runtime();
    let open = runtime.block_on(herd.run(&Target::of(&stage), PASSWORD, &tally));
    assert_eq!(open.len(), 1_500, "{tally:?}");
    println!("{} MiB at most, {tally:?}", peak_mib(&stage));
    // If stations had to retry, the log reports one overload.
    if tally.attempts.load(Ordering::Relaxed) > 1_500 {
        assert_eq!(stage.log().matches("overload began").count(), 1, "{}", stage.log());
    }
    let accepted = runtime.block_on(metric(&stage, r#"csms_logins_total{outcome="right"}"#));
    assert!(accepted >= 1_500, "{accepted}");
}

#[test]
fn under_load_wrong_passwords_cost_little_memory_and_delay_nobody() {
    let mut stage = stage(1_001, 2);
    stage.launch();
    let runtime = runtime();
    let target = Target::of(&stage);
    let [attacker, honest] = [Ipv4Addr::new(127, 3, 0, 1), Ipv4Addr::new(127, 3, 0, 2)];
    runtime.block_on(async {
        let mut attackers = JoinSet::new();
        for number in 0..3_000 {
            let target = target.clone();
            attackers.spawn(async move {
                let outcome = target.log_in(attacker, &identity(number % 1_000), "a wrong password").await;
                match outcome {
                    Outcome::Refused(status) => status,
                    Outcome::Lost => 0,
                    Outcome::In(_) => panic!("the password is wrong"),
                }
            });
        }
        // An honest station among them comes before all of them in every queue.
        let first = attackers.join_next().await;
        first.expect("an attacker").expect("no panic");
        let outcome = target.log_in(honest, &identity(1_000), PASSWORD).await;
        assert!(matches!(outcome, Outcome::In(_)), "{outcome:?}\n{}", stage.log());
        let wrong = metric(&stage, r#"csms_logins_total{outcome="wrong"}"#).await;
        println!("logged in before {wrong} wrong passwords were verified");
        let mut statuses = std::collections::BTreeMap::new();
        while let Some(status) = attackers.join_next().await {
            *statuses.entry(status.expect("no panic")).or_insert(0) += 1;
        }
        println!("{statuses:?}, {} MiB at most", peak_mib(&stage));
        assert!(statuses.keys().all(|status| [0, 401, 429, 503].contains(status)), "{statuses:?}");
    });
    // The workers' memory, the program, and some thousand handshakes.
    assert!(peak_mib(&stage) < 300, "{} MiB", peak_mib(&stage));
    assert!(!stage.log().contains("a wrong password"));
}

#[test]
fn under_load_a_password_is_guessed_five_times_and_the_station_is_not_locked_out() {
    let stage = Stage::start();
    let runtime = runtime();
    let target = Target::of(&stage);
    let [attacker, station] = [Ipv4Addr::new(127, 3, 0, 1), Ipv4Addr::new(127, 3, 0, 2)];
    runtime.block_on(async {
        for status in [401, 401, 401, 401, 401, 429, 429] {
            let outcome = target.log_in(attacker, "CS001", "a wrong password").await;
            assert!(matches!(outcome, Outcome::Refused(found) if found == status), "{status}: {outcome:?}");
        }
        // Neither this station elsewhere nor another station here is refused.
        for (from, identity) in [(station, "CS001"), (attacker, "CS002")] {
            let outcome = target.log_in(from, identity, PASSWORD).await;
            assert!(matches!(outcome, Outcome::In(_)), "{identity}: {outcome:?}");
        }
        // A station that has logged in recently is recognised, also at the address of the guesses.
        let outcome = target.log_in(attacker, "CS001", PASSWORD).await;
        assert!(matches!(outcome, Outcome::In(_)), "{outcome:?}");
        for (outcome, expected) in [("wrong", 5), ("throttled", 2), ("right", 2), ("known", 1)] {
            let found = metric(&stage, &format!(r#"csms_logins_total{{outcome="{outcome}"}}"#)).await;
            assert_eq!(found, expected, "{outcome}");
        }
        // OCPP-J 3.1.1: an unknown station gets 404, however often it tries.
        for _ in 0..10 {
            let outcome = target.log_in(attacker, "CS999", "a wrong password").await;
            assert!(matches!(outcome, Outcome::Refused(404)), "{outcome:?}");
        }
    });
    assert_eq!(stage.log().matches("too many wrong passwords").count(), 1, "{}", stage.log());
}

#[test]
fn under_load_silent_connections_of_four_addresses_keep_nobody_out() {
    rlimit::increase_nofile_limit(u64::MAX).expect("open files");
    let stage = Stage::start();
    let target = Target::of(&stage);
    runtime().block_on(async {
        let mut silent = Vec::new();
        for number in 0..8_300_u16 {
            let from = Ipv4Addr::new(127, 4, 0, u8::try_from(number % 4).expect("small"));
            silent.push(target.dial(from).await.expect("connects"));
        }
        let login = target.log_in(Ipv4Addr::new(127, 5, 0, 1), "CS001", PASSWORD);
        let outcome = timeout(Duration::from_secs(60), login).await;
        assert!(matches!(outcome, Ok(Outcome::In(_))), "{outcome:?}\n{}", stage.log());
    });
}
