#[carillon::task]
async fn greet(name: String) {
    println!("{name}");
}

fn main() {}
