//! A page of OpenMetrics text, read.

use std::collections::BTreeMap;

/// One metric: all samples of one name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) help: String,
    pub(super) samples: Vec<Sample>,
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// What follows the family's name: `_total`, `_bucket`, ...
    pub(super) suffix: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// Reads a page; lines that are none are left out.
pub(super) fn read(page: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (Some(word), Some(name), Some(text)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if families.last().is_none_or(|family| family.name != name) {
                families.push(Family {
                    name: name.to_owned(),
                    ..Family::default()
                });
            }
            if let Some(family) = families.last_mut() {
                match word {
                    "TYPE" => text.clone_into(&mut family.kind),
                    "HELP" => text.clone_into(&mut family.help),
                    _ => {}
                }
            }
        } else if let Some(family) = families.last_mut()
            && let Some(sample) = line.strip_prefix(family.name.as_str()).and_then(sample)
        {
            family.samples.push(sample);
        }
    }
    families
}

/// What stands behind a family's name: `_total{task="log"} 5`.
fn sample(rest: &str) -> Option<Sample> {
    let end = rest.find(['{', ' '])?;
    let (suffix, rest) = rest.split_at(end);
    let mut labels = BTreeMap::new();
    let mut rest = rest.trim_start();
    if let Some(mut inner) = rest.strip_prefix('{') {
        loop {
            inner = inner.trim_start_matches(',');
            if let Some(after) = inner.strip_prefix('}') {
                rest = after.trim_start();
                break;
            }
            let (name, quoted) = inner.split_once("=\"")?;
            let (value, after) = unquoted(quoted)?;
            labels.insert(name.to_owned(), value);
            inner = after;
        }
    }
    let value = match rest.split(' ').next()? {
        "+Inf" => f64::INFINITY,
        number => number.parse().ok()?,
    };
    Some(Sample {
        suffix: suffix.to_owned(),
        labels,
        value,
    })
}

/// A text up to its closing quote, and what follows.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_labels() {
        let page = "\
# HELP runs What ended.
# TYPE runs counter
runs_total{task=\"a, \\\"b\\\" }\",queue=\"q\"} 5
runs_total{task=\"\",queue=\"q\"} 6
# HELP up Whether.
# TYPE up gauge
up 1
# EOF
";
        let families = read(page);
        assert_eq!(families.len(), 2, "{families:?}");
        assert_eq!(
            (families[0].kind.as_str(), families[0].help.as_str()),
            ("counter", "What ended.")
        );
        assert_eq!(families[0].samples[0].labels["task"], "a, \"b\" }");
        assert_eq!(families[0].samples[1].value, 6.0);
        assert_eq!(
            (
                families[1].samples[0].suffix.as_str(),
                families[1].samples[0].value
            ),
            ("", 1.0)
        );
    }
}
