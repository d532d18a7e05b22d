"""What APScheduler does with the same load: apscheduler_peer.py URL recurring|oneshot JOBS SECONDS

One process, since its store cannot be shared; jobs in Redis, handlers that do nothing in a pool of threads,
fire times that are never too late.
"""

import importlib.metadata
import logging
import sys
import threading
import time
from datetime import datetime, timezone
from urllib.parse import urlparse

from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_SUBMITTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.redis import RedisJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from measured import lateness, per_run, sleep_until, spent, tell, whole_seconds

BEGUN = {}


def noop(job):
    BEGUN[job] = time.time()


def main(url, load, jobs, seconds):
    logging.getLogger('apscheduler').setLevel(logging.CRITICAL)
    address = urlparse(url)
    store = RedisJobStore(host=address.hostname, port=address.port)
    scheduler = BackgroundScheduler(
        jobstores={'default': store},
        executors={'default': ThreadPoolExecutor(20)},
        job_defaults={'misfire_grace_time': None, 'coalesce': False, 'max_instances': 20},
        timezone='UTC',
    )
    # A handler is not told its fire time; the event of its end is. Runs of one job end in turn.
    seen, ended = [], threading.Event()

    def executed(event):
        seen.append((event.scheduled_run_time.timestamp(), BEGUN[event.job_id]))
        if load == 'oneshot' and len(seen) == jobs:
            ended.set()

    scheduler.add_listener(executed, EVENT_JOB_EXECUTED)
    scheduler.add_listener(lambda _: None, EVENT_JOB_SUBMITTED)
    scheduler.start(paused=True)
    began, now = time.time(), datetime.now(timezone.utc)
    for number in range(jobs):
        name = f'job-{number}'
        if load == 'oneshot':
            scheduler.add_job(noop, 'date', run_date=now, args=[name], id=name)
        else:
            scheduler.add_job(noop, 'cron', second='*', args=[name], id=name)
    added = time.time() - began
    if load == 'oneshot':
        before = spent(url)
        scheduler.resume()
        ended.wait(600)
        instants = [at for _, at in seen]
        took = max(0.001, max(instants) - min(instants))
        figures = {
            'added_per_s': jobs / added,
            'drained_per_s': len(seen) / took,
            **per_run(before, spent(url), len(seen)),
        }
    else:
        scheduler.resume()
        time.sleep(3)
        start, end = whole_seconds(seconds)
        sleep_until(start)
        before = spent(url)
        sleep_until(end)
        after = spent(url)
        time.sleep(3)
        late = [(at - due) * 1000 for due, at in list(seen) if start <= due < end]
        figures = {**lateness(late, jobs * seconds, seconds), **per_run(before, after, len(late))}
    version = importlib.metadata.version('apscheduler')
    tell(f'apscheduler {version}', load, jobs, figures)
    scheduler.remove_all_jobs()
    scheduler.shutdown(wait=False)


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
