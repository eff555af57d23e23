//! The bar of large answers: writing a million points as JSON takes at most 0.15 CPU s.
//!
//! `cargo bench -p serve --bench answer`: a range query of 1,000 series and 1,000 steps, half of
//! the values whole, half with all the digits that a float has, through the router and its
//! streaming body. The same query asked of the engine alone is taken off. CPU time is user and
//! system of the whole process. A missed bar is said, and the bench ends with 1.

#![allow(clippy::print_stdout, reason = "a bench says what it measured")]

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the tests, which use more of it"
)]
#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::process::ExitCode;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use fixture::House;
use futures_util::StreamExt;
use model::{Labels, SeriesReader};
use promql::memory::MemoryReader;
use promql::{Context, Engine};
use serve::Services;
use tower::ServiceExt;

const T0_MS: i64 = 1_795_392_000_000;
const STEP_MS: i64 = 15_000;
const SERIES: i64 = 1_000;
const STEPS: i64 = 1_000;
const ROUNDS: usize = 10;

/// CPU seconds for a million points.
const BAR_SECONDS: f64 = 0.15;

#[tokio::main]
async fn main() -> ExitCode {
    let mut reader = MemoryReader::new();
    for series in 0..SERIES {
        let instance = format!("10.0.{}.{}:9100", series / 100, series % 100);
        let labels = Labels::from_pairs([
            ("__name__", "node_load1"),
            ("instance", &*instance),
            ("job", "node"),
        ]);
        for step in 0..STEPS {
            let value = if series % 2 == 0 {
                (series * step) as f64
            } else {
                (series + step) as f64 / 7.0
            };
            reader.push(&labels, T0_MS + step * STEP_MS, value);
        }
    }
    let reader: Arc<dyn SeriesReader> = Arc::new(reader);
    let services = Services {
        series: reader.clone(),
        ..fixture::services(House::Busy, T0_MS)
    };
    let router = serve::router(Arc::new(services));
    let end_ms = T0_MS + (STEPS - 1) * STEP_MS;
    let path = format!(
        "/api/v1/query_range?query=node_load1&start={}&end={}&step=15",
        T0_MS / 1_000,
        end_ms / 1_000
    );
    let (mut whole, mut asking, mut bytes) = (0.0, 0.0, 0);
    for _ in 0..ROUNDS {
        let before = cpu_seconds();
        let request = Request::get(&path)
            .header(header::HOST, "localhost:9849")
            .body(Body::empty())
            .expect("a request");
        let response = router.clone().oneshot(request).await.expect("answers");
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body().into_data_stream();
        bytes = 0;
        while let Some(piece) = body.next().await {
            bytes += piece.expect("a piece").len();
        }
        whole += cpu_seconds() - before;
        let before = cpu_seconds();
        let answer = Engine::default().range(
            &*reader,
            "node_load1",
            T0_MS,
            end_ms,
            STEP_MS,
            &Context::default(),
        );
        std::hint::black_box(answer.expect("answers"));
        asking += cpu_seconds() - before;
    }
    let writing = (whole - asking) / ROUNDS as f64;
    println!(
        "a million points in {bytes} bytes: {writing:.3} CPU s of writing, beside {:.3} CPU s of \
         the query",
        asking / ROUNDS as f64
    );
    if writing > BAR_SECONDS {
        println!("MISSED: {BAR_SECONDS} CPU s");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// User and system time of this process, seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("is there");
    let fields = stat.rsplit(')').next().expect("fields").split(' ');
    let ticks = fields.skip(12).take(2).map(|f| f.parse().unwrap_or(0.0));
    ticks.sum::<f64>() / 100.0
}
