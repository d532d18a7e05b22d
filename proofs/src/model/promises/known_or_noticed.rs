//! > A crash at any instruction loses neither the job nor the fire. One heartbeat renews a node's
//! > session, and with it all its claims: so each of them must be known to the node, or noticed.
//!
//! A node that lives, and has no request under way, knows all claims of its session, or holds another
//! number of them than is stored: then its heartbeat makes it ask for all.

use super::Promise;
use crate::model::checks::Check;
use crate::model::node::Node;
use crate::model::state::State;
use crate::model::store::Claim;
use crate::model::world::{Protocol, counts_differ};

pub(super) const PROMISE: Promise = ("claims are known, or noticed", holds);

fn holds(protocol: &Protocol, state: &State) -> bool {
    state.nodes.iter().all(|node| {
        node.is_out
            || node.under_way.is_some()
            || knows_its_claims(state, node)
            || (protocol.checks.on(Check::Count) && counts_differ(state, node))
    })
}

fn knows_its_claims(state: &State, node: &Node) -> bool {
    let Some(session) = state.store.session(node.session) else {
        return true;
    };
    let known = |claim: &Claim| node.held.iter().any(|held| held.claim == *claim);
    session.claims.iter().all(known)
}
