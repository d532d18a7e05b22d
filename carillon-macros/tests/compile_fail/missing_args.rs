use carillon::Args;

#[carillon::scheduled("every 5m")]
async fn greet(Args(name): Args<String>) {
    println!("{name}");
}

fn main() {}
