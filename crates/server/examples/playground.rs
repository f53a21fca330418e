//! Serves the house of the tests on a free port of 127.0.0.1 and prints its address and a key: for API testers that work from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a tool for tests"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use tollgate_core::ports::Clock;
use tollgate_core::time::Timestamp;

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }
}

#[tokio::main]
async fn main() {
    // What goes wrong inside is told on standard error.
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let house = support::House::new(Arc::new(WallClock)).await;
    house.secret("github_webhook", "hush").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{} {}", listener.local_addr().unwrap(), house.key);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    tollgate_server::serve(listener, house.router.clone(), stop).await.unwrap();
}
