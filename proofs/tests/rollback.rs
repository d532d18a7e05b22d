//! A store that loses its latest writes: every history of the model, what each guard is for, and what no guard
//! can hold.

use proofs::model::rollback::{Guard, Rollback};
use stateright::{Checker, HasDiscoveries, Model};

#[test]
fn what_nodes_tell_is_made_up_for() {
    for world in Rollback::small() {
        let checker = world.checker().threads(2).spawn_bfs().join();
        eprintln!("{world:?}: {} states", checker.unique_state_count());
        checker.assert_properties();
    }
}

#[test]
fn without_any_of_the_guards_a_promise_is_broken() {
    for guard in Guard::ALL {
        let broken = Rollback::small().into_iter().find_map(|world| {
            let world = Rollback {
                without: Some(guard),
                ..world
            };
            let checker = world
                .checker()
                .threads(2)
                .finish_when(HasDiscoveries::AnyFailures)
                .spawn_bfs()
                .join();
            let broken = checker.discoveries();
            let broken = broken
                .into_iter()
                .map(|(promise, history)| (promise, history.into_actions()));
            broken.min_by_key(|(_, history)| history.len())
        });
        let (promise, history) = broken.unwrap_or_else(|| panic!("without {guard:?} all holds"));
        eprintln!("without {guard:?}: {promise}: {history:?}");
    }
}
