"""Makes the exports of APScheduler 3.11 beside this file: python make_exports.py FOLDER"""

import json
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytz
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

BERLIN = ZoneInfo("Europe/Berlin")
TICK = "tasks:tick"
sys.modules["tasks"] = type(sys)("tasks")


def tick(*args, **kwargs):
    pass


tick.__module__, tick.__qualname__ = "tasks", "tick"
sys.modules["tasks"].tick = tick


def scheduler(zone):
    made = BackgroundScheduler(
        timezone=zone,
        jobstores={"default": MemoryJobStore()},
        executors={"default": ThreadPoolExecutor(1), "mail": ThreadPoolExecutor(1)},
    )
    made.start(paused=True)
    return made


def every_kind():
    made = scheduler(BERLIN)
    add = lambda id, trigger, **more: made.add_job(TICK, trigger, id=id, **more)
    start = datetime(2030, 1, 1, 8, tzinfo=BERLIN)
    add("date", DateTrigger(datetime(2030, 12, 24, 18, tzinfo=BERLIN)))
    add("interval", IntervalTrigger(minutes=90, seconds=1, start_date=start, jitter=5))
    add(
        "interval-bounded",
        IntervalTrigger(hours=1, start_date=start, end_date=start + timedelta(days=9)),
    )
    add("cron", CronTrigger(day_of_week="mon-fri", hour="8-18/2,20", minute=30))
    add("cron-text", CronTrigger.from_crontab("*/5 0 1,15 * wed", timezone="Asia/Shanghai"))
    add(
        "cron-rare",
        CronTrigger(
            year="2030-2040", month="jan,jul-sep", day="last", second="*/20", end_date="2040-01-01"
        ),
    )
    add("cron-positions", CronTrigger(day="2nd fri,last sun,last", hour=3, jitter=60))
    add("cron-week", CronTrigger(week="1-53/2", day_of_week="0,6", hour=0))
    add(
        "calendar",
        CalendarIntervalTrigger(
            months=1, days=3, hour=15, minute=36, start_date=date(2030, 5, 5), timezone=BERLIN
        ),
    )
    add("and", AndTrigger([CronTrigger(day="1-7", hour=9), CronTrigger(day_of_week="mon", hour=9)]))
    add("or", OrTrigger([CronTrigger(hour=9), IntervalTrigger(hours=5, start_date=start)], jitter=7))
    add(
        "called",
        IntervalTrigger(seconds=30, start_date=start),
        args=[1, "two", None, [3]],
        kwargs={"to": "ops@example.org"},
        name="The called one",
        executor="mail",
        misfire_grace_time=900,
        coalesce=False,
        max_instances=3,
    )
    add("keyworded", IntervalTrigger(days=1, start_date=start), kwargs={"deep": {"a": 1.5}})
    add("patient", IntervalTrigger(days=1, start_date=start), misfire_grace_time=None)
    add("paused", IntervalTrigger(days=1, start_date=start)).pause()
    return made


def zones():
    made = scheduler(pytz.timezone("America/New_York"))
    made.add_job(TICK, "cron", hour=4, id="pytz")
    made.add_job(TICK, "cron", hour=4, id="pytz-utc", timezone=pytz.utc)
    made.add_job(TICK, "cron", hour=4, id="utc", timezone=timezone.utc)
    made.add_job(TICK, "date", run_date=datetime(2030, 7, 1), id="pytz-date")
    made.add_job(TICK, "interval", hours=2, start_date="2030-07-01", id="pytz-interval")
    return made


def strange():
    made = scheduler(BERLIN)
    add = lambda id, **more: made.add_job(
        TICK, IntervalTrigger(days=1, start_date=datetime(2030, 1, 1, tzinfo=BERLIN)), id=id, **more
    )
    add("fine")
    add("dated", args=[datetime(2030, 1, 1)])
    add("object", kwargs={"decimal": __import__("decimal").Decimal("1.5")})
    add("method")
    made.get_job("method").func_ref = "tasks:Mailer.send"
    made.add_job(
        TICK, "cron", hour=4, id="offset", timezone=timezone(timedelta(hours=2, minutes=30))
    )
    made.add_job(TICK, CalendarIntervalTrigger(days=2, start_date=date(2030, 5, 5)), id=" blank ")
    return made


def main(folder):
    for make in (every_kind, zones, strange):
        made = make()
        path = Path(folder) / f"{make.__name__}.json"
        made.export_jobs(path)
        path.write_text(json.dumps(json.loads(path.read_text()), indent=1) + "\n")
        made.shutdown(wait=False)


main(sys.argv[1])
