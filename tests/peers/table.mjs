// Medians of what `run` measured, as a table: node table.mjs FILE
import { readFileSync } from 'node:fs';

const rows = readFileSync(process.argv[2], 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line))
  .map((row) => (row.peer ? row : of_carillon(row)));

// The same figures under the same names.
function of_carillon(row) {
  const recurring = row.bench === 'recurring';
  const redis = row[recurring ? 'redis_per_fire' : 'drained_redis_per_fire'];
  return {
    peer: 'carillon',
    load: row.bench,
    per_s: row.fires?.per_s,
    p50_ms: row.lateness_ms?.p50,
    p99_ms: row.lateness_ms?.p99,
    added_per_s: row.added?.per_s,
    drained_per_s: row.drained?.per_s,
    redis_us: redis.command_us,
    redis_cpu_us: redis.cpu_us,
    commands: redis.commands,
    sustained: row.sustained,
  };
}

const median = (figures) => {
  const sorted = figures.filter((figure) => figure !== undefined).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : undefined;
};
const show = (figure) => (figure === undefined ? '-' : figure >= 100 ? figure.toFixed(0) : figure.toFixed(2));
const columns = ['per_s', 'p50_ms', 'p99_ms', 'added_per_s', 'drained_per_s', 'redis_us', 'redis_cpu_us', 'commands'];
console.log(`| load | who | ${columns.join(' | ')} | sustained |`);
console.log(`|---|---|${columns.map(() => '---').join('|')}|---|`);
for (const load of ['recurring', 'oneshot']) {
  for (const peer of [...new Set(rows.map((row) => row.peer))]) {
    const mine = rows.filter((row) => row.load === load && row.peer === peer);
    const figures = columns.map((column) => show(median(mine.map((row) => row[column]))));
    const kept = mine.filter((row) => row.sustained !== false).length;
    console.log(`| ${load} | ${peer} | ${figures.join(' | ')} | ${kept} of ${mine.length} |`);
  }
}
