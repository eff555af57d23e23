//! A Prometheus of our own: started in a folder, written to, asked, ended.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::{Labels, Samples};
use prost::Message;
use serde_json::Value;

/// How long Prometheus may take to start.
const START_MAX: Duration = Duration::from_mins(1);

/// How much of the data is written at once: its head takes nothing that is an hour older than
/// the newest sample, so the series must advance side by side.
const SLICE_MS: i64 = 1_800_000;

/// Series in one write.
const SERIES_PER_WRITE: usize = 500;

/// A running Prometheus that scrapes nothing, with its folder.
pub(crate) struct Prometheus {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.process.kill().expect("it was ours to end");
        self.process.wait().expect("it has ended");
        std::fs::remove_dir_all(&self.folder).expect("the folder was ours");
    }
}

impl Prometheus {
    /// Starts one and waits until it answers, or says why there is none.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = port.expect("a free port");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("prometheus-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").expect("a file");
        let data = folder.join("data");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match process {
            Ok(process) => {
                let prometheus = Self {
                    process,
                    folder,
                    address,
                };
                prometheus.wait();
                Some(prometheus)
            }
            Err(error) => {
                println!("skipped: cannot start prometheus: {error}");
                std::fs::remove_dir_all(&folder).expect("the folder was ours");
                None
            }
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn wait(&self) {
        let start = Instant::now();
        // While it reads its own data it listens already, but answers that it is not ready.
        while self.ask("format_query", &[("query", "up")]).is_none() {
            assert!(start.elapsed() < START_MAX, "prometheus did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its answer, as it is, once it listens and gives one.
    fn post(&self, path: &str, headers: &str, body: &[u8]) -> Option<(String, Vec<u8>)> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        write!(
            stream,
            "POST {path} HTTP/1.0\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .ok()?;
        stream.write_all(body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        Some((head, answer.split_off(end + 4)))
    }

    /// Asks `/api/v1/` for something.
    pub(crate) fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let mut body = String::new();
        for (name, value) in parameters {
            body += name;
            body.push('=');
            for byte in value.bytes() {
                use std::fmt::Write;
                write!(body, "%{byte:02X}").expect("a String takes everything");
            }
            body.push('&');
        }
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let (_, json) = self.post(&format!("/api/v1/{what}"), form, body.as_bytes())?;
        serde_json::from_slice(&json).ok()
    }

    /// Hands it series through its receiver of remote write.
    pub(crate) fn write(&self, data: &[(Labels, Samples)]) {
        let times = data.iter().flat_map(|(_, samples)| &samples.timestamps_ms);
        let (first, last) = (
            times.clone().min().copied().unwrap_or(0),
            times.max().copied().unwrap_or(-1),
        );
        for start in (first..=last).step_by(SLICE_MS as usize) {
            for some in data.chunks(SERIES_PER_WRITE) {
                let series = some
                    .iter()
                    .map(|(labels, samples)| slice(labels, samples, start, start + SLICE_MS))
                    .filter(|series| !series.samples.is_empty());
                self.write_some(&WriteRequest {
                    series: series.collect(),
                });
            }
        }
    }

    fn write_some(&self, request: &WriteRequest) {
        let body = snap::raw::Encoder::new()
            .compress_vec(&request.encode_to_vec())
            .expect("small enough");
        let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                       X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
        let (head, said) = self
            .post("/api/v1/write", headers, &body)
            .expect("it answers");
        assert!(
            head.contains(" 204 "),
            "{head}: {}",
            String::from_utf8_lossy(&said)
        );
    }
}

/// CPU seconds, user and system, that a process has taken so far.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(path).expect("a process");
    let (_, fields) = stat.rsplit_once(')').expect("fields after the name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn slice(labels: &Labels, samples: &Samples, from: i64, to: i64) -> TimeSeries {
    let times = samples.timestamps_ms.iter().zip(&samples.values);
    TimeSeries {
        labels: labels
            .iter()
            .map(|label| Label {
                name: label.name.to_string(),
                value: label.value.to_string(),
            })
            .collect(),
        samples: times
            .filter(|(time, _)| (from..to).contains(*time))
            .map(|(time, value)| Sample {
                value: Some(*value),
                timestamp: *time,
            })
            .collect(),
    }
}

// The part of remote write 1.0 that carries samples.

#[derive(Clone, PartialEq, prost::Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sample {
    // Optional, or a negative zero would be left out and read as a positive one.
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}
