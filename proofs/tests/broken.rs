//! What each check is for: switched off, the model must find a promise that breaks.
//!
//! Some checks are not load-bearing alone, for another catches what they would: then both are switched
//! off. `docs/proofs.md` has the list.

use proofs::model::{Check, Protocol, Scope};
use stateright::{Checker, HasDiscoveries, Model};

/// Without these checks, this promise breaks.
fn breaks(scope: Scope, off: &[Check], promise: &'static str) {
    let checker = Protocol::within(scope)
        .without(off)
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyOf([promise].into()))
        .spawn_bfs()
        .join();
    let history = checker.discovery(promise);
    let history = history.unwrap_or_else(|| panic!("without {off:?}: {promise} holds"));
    eprintln!("without {off:?}: {:?}", history.into_actions());
}

/// Without this check every promise holds, within this scope.
fn holds(scope: Scope, off: Check) {
    let protocol = Protocol::within(scope).without(&[off]);
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
}

#[test]
fn without_the_token_a_deposed_leader_dispatches() {
    breaks(Scope::LEADING, &[Check::Token], "only the token dispatches");
}

#[test]
fn without_the_due_time_alone_the_settled_fire_times_catch_a_second_dispatch() {
    holds(Scope::LEADING, Check::Score);
    let off = [Check::Score, Check::Fired];
    breaks(Scope::LEADING, &off, "one dispatch per fire");
}

#[test]
fn without_the_version_an_old_plan_is_dispatched() {
    breaks(Scope::CHANGING, &[Check::Version], "planned as it is");
}

#[test]
fn without_versions_that_rise_a_plan_for_another_job_is_dispatched() {
    let scope = Scope {
        unknowns: 0,
        steps_back: 1,
        ..Scope::REPLACING
    };
    breaks(scope, &[Check::VersionsRise], "planned as it is");
}

#[test]
fn without_what_was_settled_a_job_that_is_put_again_fires_again() {
    breaks(Scope::REPLACING, &[Check::Fired], "one dispatch per fire");
}

#[test]
fn without_the_runs_in_flight_more_run_than_the_job_allows() {
    breaks(Scope::ASKING, &[Check::Room], "max instances");
}

#[test]
fn without_the_age_of_plans_a_thawed_leader_runs_what_is_misfired() {
    breaks(Scope::LATE, &[Check::Age], "in time, or a recorded misfire");
}

#[test]
fn without_the_expected_version_a_change_overwrites_another() {
    let off = [Check::Expected];
    breaks(Scope::REPLACING, &off, "changed as it was read");
}

#[test]
fn without_the_due_time_that_was_read_a_removal_skips_what_ran() {
    let scope = Scope {
        steps_back: 1,
        ..Scope::CHANGING
    };
    breaks(scope, &[Check::SameDue], "one dispatch per fire");
}

#[test]
fn without_a_look_at_what_became_due_a_change_loses_it() {
    breaks(Scope::CHANGING, &[Check::Pending], "no silent loss");
}

#[test]
fn without_kept_answers_a_wish_is_granted_twice() {
    breaks(Scope::ASKING, &[Check::Requests], "one dispatch per fire");
}

#[test]
fn without_the_session_the_dead_claim_and_nobody_looks_after_it() {
    breaks(
        Scope::LOSING,
        &[Check::Session],
        "one owner, and none is stuck",
    );
}

#[test]
fn without_numbered_requests_what_was_taken_in_is_called_stale() {
    breaks(Scope::LOSING, &[Check::Lane], "stale is refused");
}

#[test]
fn without_counts_alone_numbered_requests_let_no_claim_be_forgotten() {
    holds(Scope::LOSING, Check::Count);
    let off = [Check::Count, Check::Lane];
    breaks(Scope::LOSING, &off, "claims are known, or noticed");
}

#[test]
fn without_fences_alone_a_node_still_hands_in_only_what_it_holds() {
    holds(Scope::HAUNTED, Check::Fence);
    holds(Scope::HAUNTED, Check::Held);
    let off = [Check::Fence, Check::Held];
    breaks(Scope::HAUNTED, &off, "stale is refused");
}

#[test]
fn without_claims_alone_a_node_still_hands_in_only_what_it_holds() {
    holds(Scope::HAUNTED, Check::Claim);
    let off = [Check::Claim, Check::Held];
    breaks(Scope::HAUNTED, &off, "stale is refused");
}

#[test]
fn without_a_fence_of_its_own_an_attempt_s_effect_comes_after_a_later_one_s() {
    breaks(Scope::HAUNTED, &[Check::OwnFence], "effects in order");
}

#[test]
fn without_comparing_what_was_read_two_drain_the_same_run() {
    let off = [Check::Drained];
    breaks(Scope::DRAINING, &off, "one owner, and none is stuck");
}

#[test]
fn without_looking_whether_it_waits_a_run_is_promoted_twice() {
    let off = [Check::Waits];
    breaks(Scope::RETRYING, &off, "one owner, and none is stuck");
}

#[test]
fn without_binding_a_later_attempt_has_another_definition() {
    breaks(Scope::BINDING, &[Check::Binding], "same definition");
}

#[test]
fn without_declaring_it_dead_first_what_was_read_still_tells_whose_a_run_is() {
    holds(Scope::DRAINING, Check::FenceFirst);
}
