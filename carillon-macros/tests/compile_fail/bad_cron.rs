#[carillon::scheduled(cron, minute = "*/5,6x")]
async fn in_a_field() {}

#[carillon::scheduled(cron, expression = "30 8 * * mon-fry")]
async fn in_an_expression() {}

#[carillon::scheduled("30 25 * * *")]
async fn in_a_text() {}

fn main() {}
