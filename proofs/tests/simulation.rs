//! Histories of a simulated cluster under faults, one for each seed.

use std::panic::catch_unwind;

use proofs::simulation::{Summary, Without, simulate};

/// Seeds of a test: `CARILLON_SEED`, or so many from 0.
fn seeds(count: u64) -> Vec<u64> {
    let given = std::env::var("CARILLON_SEED").ok();
    let given = given.and_then(|seed| seed.parse().ok());
    given.map_or_else(|| (0..count).collect(), |seed| vec![seed])
}

#[test]
fn every_promise_holds_in_each_history() {
    let mut all = Summary::default();
    for seed in seeds(500) {
        let summary = catch_unwind(|| simulate(seed, Without::Nothing));
        let summary = summary.unwrap_or_else(|_| panic!("broken: CARILLON_SEED={seed}"));
        all.runs += summary.runs;
        all.fenced += summary.fenced;
        all.terms += summary.terms;
        all.faults += summary.faults;
    }
    eprintln!("{all:?}");
    // Faults that never strike prove nothing.
    assert!(all.runs > 0 && all.fenced > 0 && all.terms > 1 && all.faults > 0);
}

#[test]
fn a_seed_is_one_history() {
    for seed in 0..5 {
        let once = simulate(seed, Without::Nothing);
        assert_eq!(simulate(seed, Without::Nothing), once);
    }
}

/// How many of 100 histories break.
fn broken(without: Without) -> usize {
    let breaks = |seed: &u64| catch_unwind(|| simulate(*seed, without)).is_err();
    (0..100).filter(breaks).count()
}

#[test]
fn without_a_watchdog_two_handlers_run_at_once() {
    assert!(broken(Without::Watchdog) > 0);
}

#[test]
fn a_request_that_is_not_asked_again_loses_what_it_brought() {
    assert!(broken(Without::AskingAgain) > 0);
}
