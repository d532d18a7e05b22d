#[carillon::scheduled(interval, seconds = 5, misfire_grace_time = "soon")]
async fn no_duration() {}

#[carillon::scheduled(interval, seconds = 5, coalesce = "newest")]
async fn no_such_policy() {}

#[carillon::scheduled("every 5m", id = "")]
async fn empty_id() {}

#[carillon::scheduled(cron, hour = 8, timezone = "Europe/Berln")]
async fn no_zone() {}

#[carillon::scheduled(interval, seconds = 5, seconds = 6)]
async fn twice() {}

fn main() {}
