use runpod_sdk::prelude::*;

#[handler]
struct Greeting {
    name: String,
}

fn main() {
    let _ = Greeting { name: String::new() }.name;
}
