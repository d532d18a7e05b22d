//! A node stops before its claim passes on: every history of the model, and what each care is for.

use proofs::model::trust::{Care, Trust};
use stateright::{Checker, HasDiscoveries, Model};

const PROMISE: &str = "stops before its claim passes on";

#[test]
fn a_node_stops_before_its_claim_passes_on() {
    let trust = Trust { without: None };
    let checker = trust.checker().threads(2).spawn_bfs().join();
    eprintln!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn without_any_of_its_cares_two_handlers_run_at_once() {
    for care in Care::ALL {
        let trust = Trust {
            without: Some(care),
        };
        let checker = trust
            .checker()
            .threads(2)
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let history = checker.discovery(PROMISE);
        let history = history.unwrap_or_else(|| panic!("without {care:?} the promise holds"));
        eprintln!("without {care:?}: {:?}", history.into_actions());
    }
}
