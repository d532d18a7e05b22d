#[carillon::scheduled(cron, minuts = "*/5")]
async fn near_a_field_of_the_trigger() {}

#[carillon::scheduled(interval, seconds = 5, misfire_gracetime = 900)]
async fn near_a_field_of_the_job() {}

#[carillon::scheduled(interval, minute = 5)]
async fn field_of_another_trigger() {}

fn main() {}
