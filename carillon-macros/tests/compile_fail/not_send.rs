use std::rc::Rc;

#[carillon::scheduled("every 5m")]
async fn counts() {
    let count = Rc::new(1);
    std::future::ready(()).await;
    println!("{count}");
}

fn main() {}
