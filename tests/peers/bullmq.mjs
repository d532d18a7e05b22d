// What BullMQ does with the same load: node bullmq.mjs URL recurring|oneshot JOBS SECONDS WORKERS CONCURRENCY
//
// Handlers that do nothing, finished jobs removed at once, WORKERS processes of CONCURRENCY jobs each:
// what its documentation advises for speed. Writes one line of JSON with the figures of `carillon bench`.
import { fork } from 'node:child_process';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const [, self, url, load, jobs, seconds, workers, concurrency] = process.argv;
const connection = { url, maxRetriesPerRequest: null };
const NAME = 'peer';
const DONE = { removeOnComplete: true, removeOnFail: true };

if (process.send) {
  work();
} else {
  await measure();
}

// A worker process: counts runs by their due time, and tells all it has seen when asked.
function work() {
  const seen = [];
  const worker = new Worker(
    NAME,
    async (job) => {
      seen.push([job.opts.prevMillis ?? job.timestamp, performance.timeOrigin + performance.now()]);
    },
    { connection, concurrency: Number(concurrency) },
  );
  worker.on('error', (error) => console.error(String(error)));
  process.on('disconnect', () => process.exit(0));
  process.on('message', async (message) => {
    if (message === 'count') {
      process.send({ count: seen.length });
    } else {
      process.send({ seen });
      await worker.close();
      process.exit(0);
    }
  });
}

async function measure() {
  const queue = new Queue(NAME, { connection });
  const redis = new Redis(url);
  await queue.waitUntilReady();
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const children = [];
  const start = () => {
    for (let i = 0; i < Number(workers); i++) {
      children.push(fork(self, process.argv.slice(2)));
    }
  };
  const ask = (message) =>
    Promise.all(
      children.map(
        (child) =>
          new Promise((resolve) => {
            child.once('message', resolve);
            child.send(message);
          }),
      ),
    );
  const count = async () => (await ask('count')).reduce((sum, one) => sum + one.count, 0);
  const spent = async () => {
    const stats = await redis.info('commandstats');
    const cpu = await redis.info('cpu');
    let us = 0;
    let calls = 0;
    for (const [, name, n, usec] of stats.matchAll(/cmdstat_(\S+?):calls=(\d+),usec=(\d+)/g)) {
      if (['evalsha', 'eval', 'bzpopmin'].includes(name)) {
        us += Number(usec);
        calls += Number(n);
      }
    }
    const seconds = [...cpu.matchAll(/used_cpu_(?:user|sys):([\d.]+)/g)];
    return { us, calls, cpu: seconds.reduce((sum, one) => sum + Number(one[1]), 0) };
  };

  let result;
  if (load === 'oneshot') {
    const data = Array.from({ length: Number(jobs) }, (_, i) => ({ name: 'noop', data: { i }, opts: DONE }));
    const began = Date.now();
    for (let i = 0; i < data.length; i += 1000) {
      await queue.addBulk(data.slice(i, i + 1000));
    }
    const added = Date.now() - began;
    const before = await spent();
    start();
    while ((await count()) < Number(jobs)) {
      await sleep(20);
    }
    const after = await spent();
    // From the first to the last: how long a process takes to start is not the question.
    const begun = (await ask('tell')).flatMap((one) => one.seen.map(([, at]) => at)).sort((a, b) => a - b);
    const took = Math.max(1, begun[begun.length - 1] - begun[0]);
    result = {
      added_per_s: (1000 * Number(jobs)) / added,
      drained_per_s: (1000 * Number(jobs)) / took,
      redis_us: (after.us - before.us) / Number(jobs),
      redis_cpu_us: ((after.cpu - before.cpu) * 1e6) / Number(jobs),
    };
  } else {
    for (let i = 0; i < Number(jobs); i++) {
      await queue.upsertJobScheduler(`job-${i}`, { pattern: '* * * * * *' }, { name: 'noop', opts: DONE });
    }
    start();
    await sleep(3000);
    // Whole seconds, from half past one to half past another.
    const from = Math.ceil(Date.now() / 1000) * 1000 + 500;
    const to = from + 1000 * Number(seconds);
    await sleep(from - Date.now());
    const before = await spent();
    await sleep(to - Date.now());
    const after = await spent();
    await sleep(3000);
    const late = (await ask('tell'))
      .flatMap((one) => one.seen)
      .filter(([due]) => due >= from && due < to)
      .map(([due, begun]) => begun - due)
      .sort((a, b) => a - b);
    const expected = Number(jobs) * Number(seconds);
    const at = (share) => late[Math.min(late.length - 1, Math.floor(late.length * share))];
    result = {
      per_s: late.length / Number(seconds),
      expected,
      begun: late.length,
      late: late.filter((ms) => ms > 1000).length,
      p50_ms: at(0.5),
      p99_ms: at(0.99),
      max_ms: late[late.length - 1],
      redis_us: (after.us - before.us) / late.length,
      redis_cpu_us: ((after.cpu - before.cpu) * 1e6) / late.length,
      commands: (after.calls - before.calls) / late.length,
      sustained: late.length >= expected && late.filter((ms) => ms > 1000).length * 1000 <= expected,
    };
  }
  console.log(JSON.stringify({ peer: 'bullmq 6.7.0', load, jobs: Number(jobs), ...result }));
  await queue.obliterate({ force: true });
  await queue.close();
  redis.disconnect();
}
