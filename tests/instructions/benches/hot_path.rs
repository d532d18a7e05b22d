//! How long a node computes for a fire: `cargo bench -p instructions`.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use instructions::{BATCH, steps};

fn hot_path(c: &mut Criterion) {
    let mut group = c.benchmark_group("hot_path");
    group.throughput(Throughput::Elements(BATCH as u64));
    for step in steps().unwrap() {
        group.bench_function(step.name, |b| b.iter(|| step.run()));
    }
    group.finish();
}

criterion_group!(benches, hot_path);
criterion_main!(benches);
