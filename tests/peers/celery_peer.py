"""What Celery with RedBeat does with the same load: celery_peer.py URL recurring|oneshot JOBS SECONDS

One worker with a process per core, no results, messages acknowledged early and fetched ahead; one beat,
which RedBeat's lock allows. A task is not told when it was due, so that lateness cannot be told.
"""

import importlib.metadata
import os
import subprocess
import sys
import tempfile
import time

from celery import Celery
from celery.schedules import schedule

from measured import per_run, sleep_until, spent, tell, whole_seconds

URL = os.environ.get('PEER_URL', '')
RUNS = os.environ.get('PEER_RUNS', os.devnull)

app = Celery('celery_peer', broker=URL)
app.conf.update(
    redbeat_redis_url=URL,
    task_ignore_result=True,
    task_acks_late=False,
    worker_prefetch_multiplier=64,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    beat_max_loop_interval=1,
    timezone='UTC',
)
_runs = None


@app.task(name='noop')
def noop():
    global _runs
    if _runs is None:
        _runs = os.open(RUNS, os.O_WRONLY | os.O_APPEND)
    os.write(_runs, b'%.6f\n' % time.time())


def runs(path):
    with open(path) as lines:
        return [float(line) for line in lines]


def process(*args):
    here = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, '-m', 'celery', '-A', 'celery_peer', *args, '--loglevel', 'ERROR']
    return subprocess.Popen(command, cwd=here, stdout=sys.stderr, stderr=sys.stderr)


def main(url, load, jobs, seconds):
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, 'runs')
    open(path, 'w').close()
    os.environ.update(PEER_URL=url, PEER_RUNS=path)
    app.conf.update(broker_url=url, redbeat_redis_url=url)
    worker_args = ('worker', '--concurrency', str(os.cpu_count()), '--without-gossip', '--without-mingle',
                   '--without-heartbeat')
    children, figures = [], {}
    try:
        if load == 'oneshot':
            began = time.time()
            with app.producer_pool.acquire(block=True) as producer:
                for _ in range(jobs):
                    noop.apply_async(producer=producer)
            added = time.time() - began
            before = spent(url)
            children.append(process(*worker_args))
            deadline = time.time() + 600
            while len(runs(path)) < jobs and time.time() < deadline:
                time.sleep(0.1)
            seen = runs(path)
            figures = {
                'added_per_s': jobs / added,
                'drained_per_s': len(seen) / max(0.001, max(seen) - min(seen)),
                **per_run(before, spent(url), len(seen)),
            }
        else:
            from redbeat import RedBeatSchedulerEntry

            for number in range(jobs):
                RedBeatSchedulerEntry(f'job-{number}', 'noop', schedule(run_every=1), app=app).save()
            children.append(process(*worker_args))
            children.append(process('beat', '--scheduler', 'redbeat.RedBeatScheduler', '--max-interval', '1',
                                    '--pidfile='))
            # It takes seconds to start.
            time.sleep(15)
            start, end = whole_seconds(seconds)
            sleep_until(start)
            before = spent(url)
            sleep_until(end)
            after = spent(url)
            seen = [at for at in runs(path) if start <= at < end]
            figures = {
                'per_s': len(seen) / seconds,
                'expected': jobs * seconds,
                'begun': len(seen),
                'sustained': len(seen) >= 0.999 * jobs * seconds,
                **per_run(before, after, len(seen)),
            }
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()
        folder.cleanup()
    versions = [importlib.metadata.version(name) for name in ('celery', 'celery-redbeat')]
    tell('celery {} redbeat {}'.format(*versions), load, jobs, figures)


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
