//! Where a record stands in history.

use std::cmp::Ordering;

/// A position in history, as the store tells it: numbers with a sign between. Positions of one history
/// can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    text: String,
    numbers: Vec<u64>,
}

impl Place {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_short = text.len() <= 60;
        let numbers = text.split(['-', '/']).map(|number| {
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            number.parse().ok().filter(|_| is_number)
        });
        let numbers: Option<Vec<u64>> = numbers.collect();
        let numbers = numbers.filter(|numbers| is_short && numbers.len() <= 3)?;
        Some(Self {
            text: text.to_owned(),
            numbers,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl Ord for Place {
    /// One that names a whole batch stands behind all that is in it.
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |of: &Self, at: usize| of.numbers.get(at).copied().unwrap_or(u64::MAX);
        let mut compared = (0..3).map(|at| number(self, at).cmp(&number(other, at)));
        compared
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Place {
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
            assert!(place(earlier) < place(later), "{earlier} {later}");
        }
        assert!(place("9") < place("10"));
        for text in ["", "x", "1-2/3/4", "-1", "1-+2", "99999999999999999999"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }
}
