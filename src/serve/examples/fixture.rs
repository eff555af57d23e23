//! Serves the fixture's house for looking at pages:
//! `cargo run -p serve --example fixture [busy|calm|empty] [address]`.

#[path = "../tests/fixture/mod.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod fixture;

use std::sync::Arc;

use fixture::House;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let house = match std::env::args().nth(1).as_deref() {
        Some("calm") => House::Calm,
        Some("empty") => House::Empty,
        _ => House::Busy,
    };
    let address = std::env::args().nth(2).unwrap_or("127.0.0.1:0".to_owned());
    let services = Arc::new(fixture::services(house, model::time::now_ms()));
    let listener = tokio::net::TcpListener::bind(address).await?;
    eprintln!("http://{}", listener.local_addr()?);
    axum::serve(listener, serve::router(services)).await
}
