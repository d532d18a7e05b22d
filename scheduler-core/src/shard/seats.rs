//! Which node should lead which shard.
//!
//! Every node finds the same answer from the same list of nodes, so nobody has to be asked. Nothing rests on
//! it: whoever holds a shard's lease leads it, and the lease alone decides. A node that leads what another
//! should lead gives that lease back once the list has [stood still](Steady) for a while, and whoever should
//! have it takes it; where that one does not, another does, and keeps it for longer each time.
//!
//! The answer is even (the numbers of shards of any two nodes differ by one at most), and moves few shards
//! when a node comes or goes (each shard prefers nodes in an order of its own: rendezvous hashing).

use std::collections::BTreeSet;

use super::{ShardCount, ShardNumber};

/// Who should lead each shard, in order; nobody where there are no nodes.
#[must_use]
pub fn assigned<'n>(nodes: &BTreeSet<&'n str>, shards: ShardCount) -> Vec<Option<&'n str>> {
    let count = usize::from(shards.get());
    let Some(least) = count.checked_div(nodes.len()) else {
        return vec![None; count];
    };
    // So many nodes lead one more than the others.
    let mut more = count % nodes.len();
    let mut led: Vec<(&str, usize)> = nodes.iter().map(|node| (*node, 0)).collect();
    let mut seats = Vec::with_capacity(count);
    for shard in shards.numbers() {
        let has_room = |led: usize| led < least || (led == least && more > 0);
        let roomy = led.iter_mut().filter(|(_, led)| has_room(*led));
        let first = roomy.max_by_key(|(node, _)| liking(shard, node));
        seats.push(first.map(|(node, led)| {
            if *led == least {
                more -= 1;
            }
            *led += 1;
            *node
        }));
    }
    seats
}

/// How much a shard prefers a node.
fn liking(shard: ShardNumber, node: &str) -> u64 {
    let bytes = node.bytes().chain([0]).chain(shard.0.to_be_bytes());
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // What the last bytes say is in the low bits so far.
    let mixed = (sum ^ (sum >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

/// Whether a shard's leader should be another node, as seen from one node again and again.
#[derive(Debug)]
pub struct Steady {
    shard: ShardNumber,
    shards: ShardCount,
    /// For how many looks the same must have been seen.
    patience: u32,
    seen: Option<(Vec<String>, u32)>,
}

/// How many looks at the same nodes it takes at first, and at most.
const PATIENCE: (u32, u32) = (3, 96);

impl Steady {
    /// Nothing seen so far of this shard.
    #[must_use]
    pub const fn new(shard: ShardNumber, shards: ShardCount) -> Self {
        Self {
            shard,
            shards,
            patience: PATIENCE.0,
            seen: None,
        }
    }

    /// Takes in which nodes there are now. Answers with who should lead, if the same were there for long
    /// enough.
    pub fn look<'n>(&mut self, nodes: &BTreeSet<&'n str>) -> Option<&'n str> {
        let looks = match &mut self.seen {
            Some((seen, looks)) if seen.iter().eq(nodes.iter()) => {
                *looks = looks.saturating_add(1);
                *looks
            }
            seen => {
                let names = nodes.iter().map(|node| (*node).to_owned());
                *seen = Some((names.collect(), 1));
                // Whoever did not take it before may be gone.
                self.patience = PATIENCE.0;
                1
            }
        };
        if looks < self.patience {
            return None;
        }
        *assigned(nodes, self.shards).get(self.shard.index())?
    }

    /// The lease was given back for another node: if it is ours again, that one did not take it, and is
    /// waited for longer.
    pub fn gave_up(&mut self) {
        self.patience = (self.patience * 2).min(PATIENCE.1);
        if let Some((_, looks)) = &mut self.seen {
            *looks = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("web-{number}")).collect()
    }

    fn set(names: &[String]) -> BTreeSet<&str> {
        names.iter().map(String::as_str).collect()
    }

    #[test]
    fn leaders_are_spread_evenly_and_no_node_is_left_out() {
        for shards in 1..=16 {
            let count = ShardCount::new(shards).unwrap();
            for nodes in 1..=20 {
                let names = names(nodes);
                let seats = assigned(&set(&names), count);
                let mut led: BTreeMap<&str, usize> =
                    names.iter().map(|n| (n.as_str(), 0)).collect();
                for seat in seats {
                    *led.get_mut(seat.unwrap()).unwrap() += 1;
                }
                let (least, most) = (led.values().min().unwrap(), led.values().max().unwrap());
                assert!(
                    most - least <= 1,
                    "{shards} shards on {nodes} nodes: {led:?}"
                );
            }
        }
        assert_eq!(assigned(&BTreeSet::new(), ShardCount::ONE), [None]);
    }

    #[test]
    fn a_node_that_comes_or_goes_moves_few_shards() {
        let count = ShardCount::new(64).unwrap();
        for nodes in 2..=16 {
            let names = names(nodes);
            let before = assigned(&set(&names), count);
            let after = assigned(&set(&names[1..]), count);
            let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
            // What it led must move; of the rest some do, so that all stay even.
            assert!(
                moved <= 64 / nodes + 64 / 3,
                "{nodes} nodes: {moved} of 64 moved"
            );
        }
    }

    #[test]
    fn nothing_is_decided_while_nodes_come_and_go() {
        let names = names(3);
        let (two, three) = (set(&names[..2]), set(&names));
        let mut steady = Steady::new(ShardNumber(1), ShardCount::new(4).unwrap());
        for _ in 0..10 {
            assert_eq!(steady.look(&three), None);
            assert_eq!(steady.look(&three), None);
            assert_eq!(steady.look(&two), None);
        }
        assert_eq!(steady.look(&three), None);
        assert_eq!(steady.look(&three), None);
        assert!(steady.look(&three).is_some());
    }

    #[test]
    fn a_lease_that_nobody_takes_is_offered_less_and_less_often() {
        let names = names(2);
        let both = set(&names);
        let mut steady = Steady::new(ShardNumber(0), ShardCount::new(2).unwrap());
        let mut waited = Vec::new();
        for _ in 0..8 {
            let mut looks = 1;
            while steady.look(&both).is_none() {
                looks += 1;
            }
            waited.push(looks);
            steady.gave_up();
        }
        assert_eq!(waited, [3, 6, 12, 24, 48, 96, 96, 96]);
    }
}
