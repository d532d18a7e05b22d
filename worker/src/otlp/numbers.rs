//! The page of `/metrics` as OTLP's metrics.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::attributes;
use super::text::{Family, Sample, read};

/// Counts since the beginning.
const CUMULATIVE: u8 = 2;

/// All metrics of a page that was made at `now`, and whose counts began at `since`: nanoseconds.
pub(super) fn metrics(page: &str, since: &str, now: &str) -> Value {
    let times = Times { since, now };
    let families = read(page);
    let metrics = families.iter().filter_map(|family| metric(family, &times));
    metrics.collect()
}

struct Times<'a> {
    since: &'a str,
    now: &'a str,
}

fn metric(family: &Family, times: &Times<'_>) -> Option<Value> {
    let mut metric = json!({ "name": family.name, "description": family.help });
    match family.kind.as_str() {
        "counter" => {
            metric["sum"] = json!({
                "dataPoints": points(family, "_total", times),
                "aggregationTemporality": CUMULATIVE,
                "isMonotonic": true,
            });
        }
        "gauge" => metric["gauge"] = json!({ "dataPoints": points(family, "", times) }),
        "info" => metric["gauge"] = json!({ "dataPoints": points(family, "_info", times) }),
        "histogram" => {
            metric["histogram"] = json!({
                "dataPoints": histograms(family, times),
                "aggregationTemporality": CUMULATIVE,
            });
        }
        _ => return None,
    }
    Some(metric)
}

fn labelled(labels: &BTreeMap<String, String>) -> Value {
    let pairs = labels.iter().filter(|(name, _)| *name != "le");
    attributes(pairs.map(|(name, value)| (name.as_str(), value.as_str().into())))
}

fn points(family: &Family, suffix: &str, times: &Times<'_>) -> Value {
    let samples = family
        .samples
        .iter()
        .filter(|sample| sample.suffix == suffix);
    let point = |sample: &Sample| {
        json!({
            "attributes": labelled(&sample.labels),
            "startTimeUnixNano": times.since,
            "timeUnixNano": times.now,
            "asDouble": sample.value,
        })
    };
    samples.map(point).collect()
}

/// One point for each set of labels, of its buckets, its sum and its count.
fn histograms(family: &Family, times: &Times<'_>) -> Value {
    let mut sets: BTreeMap<BTreeMap<&str, &str>, Vec<&Sample>> = BTreeMap::new();
    for sample in &family.samples {
        let labels = sample.labels.iter().filter(|(name, _)| *name != "le");
        let labels = labels.map(|(name, value)| (name.as_str(), value.as_str()));
        sets.entry(labels.collect()).or_default().push(sample);
    }
    sets.values()
        .filter_map(|samples| histogram(samples, times))
        .collect()
}

fn histogram(samples: &[&Sample], times: &Times<'_>) -> Option<Value> {
    let one = |suffix: &str| samples.iter().find(|sample| sample.suffix == suffix);
    let mut buckets: Vec<(f64, f64)> = samples
        .iter()
        .filter(|sample| sample.suffix == "_bucket")
        .filter_map(|sample| {
            let bound = match sample.labels.get("le")?.as_str() {
                "+Inf" => f64::INFINITY,
                bound => bound.parse().ok()?,
            };
            Some((bound, sample.value))
        })
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0.0;
    let counts = buckets.iter().map(|(_, up_to)| {
        let count = up_to - below;
        below = *up_to;
        whole(count)
    });
    let counts: Vec<_> = counts.collect();
    let bounds = buckets.iter().map(|(bound, _)| *bound);
    let bounds: Vec<_> = bounds.filter(|bound| bound.is_finite()).collect();
    Some(json!({
        "attributes": labelled(&samples.first()?.labels),
        "startTimeUnixNano": times.since,
        "timeUnixNano": times.now,
        "count": whole(one("_count")?.value),
        "sum": one("_sum")?.value,
        "bucketCounts": counts,
        "explicitBounds": bounds,
    }))
}

/// A count, as OTLP's JSON writes 64 bits.
fn whole(count: f64) -> String {
    format!("{count:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_gauges_and_histograms_become_otlps() {
        let page = "\
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_sum{task=\"a\"} 1.5
took_seconds_count{task=\"a\"} 3
took_seconds_bucket{le=\"0.1\",task=\"a\"} 1
took_seconds_bucket{le=\"1.0\",task=\"a\"} 3
took_seconds_bucket{le=\"+Inf\",task=\"a\"} 3
# HELP up Whether.
# TYPE up gauge
up 1
# EOF
";
        let metrics = metrics(page, "5", "7");
        let point = &metrics[0]["histogram"]["dataPoints"][0];
        assert_eq!(point["bucketCounts"], json!(["1", "2", "0"]));
        assert_eq!(point["explicitBounds"], json!([0.1, 1.0]));
        assert_eq!((&point["count"], &point["sum"]), (&json!("3"), &json!(1.5)));
        assert_eq!(
            point["attributes"],
            json!([{"key": "task", "value": {"stringValue": "a"}}])
        );
        assert_eq!(metrics[1]["gauge"]["dataPoints"][0]["asDouble"], 1.0);
    }
}
