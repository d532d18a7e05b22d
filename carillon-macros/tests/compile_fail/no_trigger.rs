#[carillon::scheduled(id = "sweep", seconds = 30)]
async fn sweep() {}

#[carillon::scheduled]
async fn nothing() {}

fn main() {}
