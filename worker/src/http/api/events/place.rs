//! Where a record stands in history.

use std::cmp::Ordering;

/// A position in history, as the store tells it: numbers with a sign between, for each shard. Positions of one
/// history can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    text: String,
    shards: Vec<Numbers>,
}

/// What stands for one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers(Vec<u64>);

impl Place {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let shards: Option<Vec<Numbers>> = text.split(',').map(Numbers::parse).collect();
        Some(Self {
            text: text.to_owned(),
            shards: shards?,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stands behind another one, in any shard: readers do not all come to the records of
    /// several shards in one order, but to those of each.
    pub(super) fn is_behind(&self, other: &Self) -> bool {
        let shards = self.shards.iter().enumerate();
        let mut shards = shards.map(|(at, numbers)| (numbers, other.shards.get(at)));
        // What begins before all shards names no shard.
        shards.any(|(numbers, other)| other.is_none_or(|other| numbers > other))
    }

    /// The later of the two in each shard.
    pub(super) fn and(&self, other: &Self) -> Self {
        if self.shards.len() != other.shards.len() {
            return if self.is_behind(other) { self } else { other }.clone();
        }
        let both = self.shards.iter().zip(&other.shards);
        let texts = self.text.split(',').zip(other.text.split(','));
        let (mut text, mut shards) = (Vec::new(), Vec::new());
        for ((mine, others), (my_text, their_text)) in both.zip(texts) {
            let is_mine = mine > others;
            text.push(if is_mine { my_text } else { their_text });
            shards.push(if is_mine { mine } else { others }.clone());
        }
        Self {
            text: text.join(","),
            shards,
        }
    }
}

impl Numbers {
    fn parse(text: &str) -> Option<Self> {
        let is_short = text.len() <= 60;
        let numbers = text.split(['-', '/']).map(|number| {
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            number.parse().ok().filter(|_| is_number)
        });
        let numbers: Option<Vec<u64>> = numbers.collect();
        numbers
            .filter(|numbers| is_short && numbers.len() <= 3)
            .map(Self)
    }
}

impl Ord for Numbers {
    /// One that names a whole batch stands behind all that is in it.
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |of: &Self, at: usize| of.0.get(at).copied().unwrap_or(u64::MAX);
        let mut compared = (0..3).map(|at| number(self, at).cmp(&number(other, at)));
        compared
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Numbers {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::parse(text).unwrap()
    }

    #[test]
    fn positions_stand_in_the_order_of_history() {
        let in_order = ["9-1/1", "9-1/2", "9-1/10", "9-1", "9-2/1", "10-0/1", "10-0"];
        for (earlier, later) in in_order.iter().zip(&in_order[1..]) {
            assert!(place(later).is_behind(&place(earlier)), "{earlier} {later}");
            assert!(
                !place(earlier).is_behind(&place(later)),
                "{earlier} {later}"
            );
        }
        assert!(place("10").is_behind(&place("9")));
        for text in [
            "",
            "x",
            "1-2/3/4",
            "-1",
            "1-+2",
            "99999999999999999999",
            "1,",
            "1,x",
        ] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    #[test]
    fn in_several_shards_each_counts_by_itself() {
        let (one, other) = (place("9-1,5-0/2"), place("8-0,6-0"));
        assert!(one.is_behind(&other) && other.is_behind(&one));
        let both = one.and(&other);
        assert_eq!(both.text(), "9-1,6-0");
        assert!(!one.is_behind(&both) && !other.is_behind(&both));
        assert_eq!(both, place("9-1,6-0"));
        assert!(one.is_behind(&place("0")));
        assert_eq!(place("0").and(&one), one);
    }
}
