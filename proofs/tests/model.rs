//! Every history of the protocol within each scope, against each promise.

use proofs::model::{Protocol, Scope};
use stateright::{Checker, Model};

fn every_promise_holds(scope: Scope) {
    let checker = Protocol::within(scope)
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();
    eprintln!(
        "{} states, {} steps deep",
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn while_leaders_follow_each_other_and_the_clock_steps_back() {
    every_promise_holds(Scope::LEADING);
}

#[test]
fn while_a_job_is_changed() {
    every_promise_holds(Scope::CHANGING);
}

#[test]
fn while_a_job_is_removed_and_put_again() {
    every_promise_holds(Scope::REPLACING);
}

#[test]
fn while_clients_ask_for_runs() {
    every_promise_holds(Scope::ASKING);
}

#[test]
fn while_plans_grow_old() {
    every_promise_holds(Scope::LATE);
}

#[test]
fn while_nodes_die_and_are_taken_for_dead() {
    every_promise_holds(Scope::WORKING);
}

#[test]
fn while_answers_are_lost_again_and_again() {
    every_promise_holds(Scope::LOSING);
}

#[test]
fn while_runs_wait_for_another_attempt() {
    every_promise_holds(Scope::RETRYING);
}

#[test]
fn while_handlers_go_on_that_nobody_can_stop() {
    every_promise_holds(Scope::HAUNTED);
}

#[test]
fn through_the_whole_life_of_a_fire() {
    every_promise_holds(Scope::WHOLE);
}

#[test]
fn while_several_clear_up_after_one_dead_node() {
    every_promise_holds(Scope::DRAINING);
}

#[test]
fn while_a_job_is_changed_between_the_attempts_of_its_run() {
    every_promise_holds(Scope::BINDING);
}
