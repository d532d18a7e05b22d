#[carillon::task]
struct Greeting;

struct Service;

impl Service {
    #[carillon::scheduled("every 5m")]
    async fn sweep(&self) {}
}

#[carillon::task]
async fn any<T>(_: T) {}

fn main() {}
