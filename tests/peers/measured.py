"""What the Python peers share: the server's work, and figures under the names that `table.mjs` reads."""

import json
import math
import time

import redis


def spent(url):
    """Microseconds and number of the commands so far, and the server's processor time in seconds."""
    connection = redis.Redis.from_url(url)
    stats, cpu = connection.info('commandstats'), connection.info('cpu')
    connection.close()
    # Looking on is no work of the peer's.
    of_peer = {name: stat for name, stat in stats.items() if not name.startswith('cmdstat_info')}
    return {
        'us': sum(stat['usec'] for stat in of_peer.values()),
        'calls': sum(stat['calls'] for stat in of_peer.values()),
        'cpu': cpu['used_cpu_user'] + cpu['used_cpu_sys'],
    }


def whole_seconds(seconds):
    """From half past one second to half past another, beginning soon: when, and when over."""
    start = math.ceil(time.time()) + 0.5
    return start, start + seconds


def sleep_until(instant):
    time.sleep(max(0.0, instant - time.time()))


def per_run(before, after, runs):
    runs = max(1, runs)
    return {
        'redis_us': (after['us'] - before['us']) / runs,
        'redis_cpu_us': (after['cpu'] - before['cpu']) * 1e6 / runs,
        'commands': (after['calls'] - before['calls']) / runs,
    }


def lateness(late_ms, expected, seconds):
    """Figures of runs that were so many milliseconds late."""
    late = sorted(late_ms)

    def at(share):
        return late[min(len(late) - 1, int(len(late) * share))] if late else None

    over = sum(1 for ms in late if ms > 1000)
    return {
        'per_s': len(late) / seconds,
        'expected': expected,
        'begun': len(late),
        'late': over,
        'p50_ms': at(0.5),
        'p99_ms': at(0.99),
        'max_ms': late[-1] if late else None,
        'sustained': len(late) >= expected and over * 1000 <= expected,
    }


def tell(peer, load, jobs, figures):
    known = {name: figure for name, figure in figures.items() if figure is not None}
    print(json.dumps({'peer': peer, 'load': load, 'jobs': jobs, **known}), flush=True)
