#[carillon::scheduled(chron, minute = "*/5")]
async fn sweep() {}

fn main() {}
