//! A running Yagura: the real binary, a folder of its own, a port that the kernel chose.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a story waits for something that should take a second or two. Generous, because the
/// machines that run tests are slow and shared; reaching it is a failure, never a measurement.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A folder for one story: log files, configuration, data.
pub(crate) struct Site {
    dir: TempDir,
}

impl Site {
    /// An empty folder with a configuration that follows `logs/*.log` in it and nothing else.
    pub(crate) fn new() -> Self {
        let site = Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
        };
        fs::create_dir(site.path("logs")).expect("a folder for logs");
        site.configure("");
        site
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the configuration: the usual beginning and what the story adds.
    pub(crate) fn configure(&self, more: &str) {
        let globs = self.path("logs/*.log");
        let text = format!(
            "logs: {{ files: [{:?}] }}\n{more}",
            globs.display().to_string()
        );
        fs::write(self.path("yagura.yaml"), text).expect("a configuration file");
    }

    /// Starts the binary and waits until it says where it listens.
    pub(crate) fn start(&self) -> Appliance {
        self.try_start()
            .unwrap_or_else(|log| panic!("yagura did not start:\n{log}"))
    }

    /// As [`Site::start`], at an address that is known before.
    pub(crate) fn start_at(&self, listen: &str) -> Appliance {
        self.try_start_at(listen)
            .unwrap_or_else(|log| panic!("yagura did not start:\n{log}"))
    }

    /// Starts the binary; `Err` is what it wrote to standard error before it gave up.
    pub(crate) fn try_start(&self) -> Result<Appliance, String> {
        self.try_start_at("127.0.0.1:0")
    }

    fn try_start_at(&self, listen: &str) -> Result<Appliance, String> {
        let log = self.path("stderr.txt");
        let mut child = Command::new(env!("CARGO_BIN_EXE_yagura"))
            .arg("--config")
            .arg(self.path("yagura.yaml"))
            .arg("--data")
            .arg(self.path("data"))
            .args(["--listen", listen])
            .stdout(Stdio::piped())
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .expect("a log file"),
            )
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut first_line = String::new();
        BufReader::new(stdout)
            .read_line(&mut first_line)
            .expect("standard output can be read");
        let address = first_line
            .split_ascii_whitespace()
            .find(|word| word.starts_with("http://"));
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(fs::read_to_string(&log).unwrap_or_default());
        };
        Ok(Appliance {
            address: address.trim_end_matches(['/', ',', ':', '.']).to_owned(),
            first_line,
            child,
            log,
        })
    }
}

/// The running process; killed when dropped.
pub(crate) struct Appliance {
    /// `http://127.0.0.1:PORT`
    pub(crate) address: String,
    /// What it printed when it was ready.
    pub(crate) first_line: String,
    child: Child,
    log: PathBuf,
}

impl Appliance {
    /// SIGKILL, at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .expect("kill is there");
        assert!(done.success(), "cannot send {name}");
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything that it wrote to standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// GET, whatever the status.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.request(ureq_agent().get(format!("{}{path}", self.address)).call())
    }

    /// POST of a form, whatever the status.
    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let url = format!("{}{path}", self.address);
        self.request(ureq_agent().post(url).send_form(form.iter().copied()))
    }

    /// POST of any bytes; `None` when the connection broke.
    pub(crate) fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<(u16, String)> {
        send_to(&self.address, path, headers, body)
    }

    /// A request of any method and bytes.
    pub(crate) fn send_as(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String) {
        let uri = format!("{}{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_vec()).expect("a good request");
        self.request(ureq_agent().run(request))
    }

    fn request(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> (u16, String) {
        let mut answer = answer.unwrap_or_else(|error| panic!("{error}; its log:\n{}", self.log()));
        let text = answer
            .body_mut()
            .with_config()
            .limit(256 << 20)
            .read_to_string()
            .expect("a body in UTF-8");
        (answer.status().as_u16(), text)
    }

    /// GET of JSON that must succeed.
    pub(crate) fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// An instant query's result.
    pub(crate) fn query(&self, promql: &str) -> Vec<Value> {
        let answer = self.json(&format!("/api/v1/query?query={}", encode(promql)));
        answer["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// The value of the only series of an instant query, if there is exactly one.
    pub(crate) fn value(&self, promql: &str) -> Option<f64> {
        match self.query(promql).as_slice() {
            [one] => one["value"][1].as_str()?.parse().ok(),
            _ => None,
        }
    }

    /// Log records that match, newest first.
    pub(crate) fn logs(&self, query: &str, limit: usize) -> Vec<Value> {
        let path = format!(
            "/api/v1/logs/query?q={}&from=now-30d&to=now%2B1h&limit={limit}",
            encode(query)
        );
        let (status, text) = self.get(&path);
        assert_eq!(status, 200, "{path}: {text}");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Asks again and again until there is an answer.
    pub(crate) fn wait_for<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            assert!(
                Instant::now() < deadline,
                "still waiting for {what}; its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// POST of any bytes to an address that may be gone; `None` when the connection broke.
pub(crate) fn send_to(
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<(u16, String)> {
    let mut request = ureq_agent().post(format!("{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = request.send(body).ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    Some((answer.status().as_u16(), text))
}

fn ureq_agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into()
}

/// Percent-encodes a query parameter.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Adds lines to a file, as a program would.
pub(crate) fn append(path: &Path, lines: impl IntoIterator<Item = String>) {
    use std::io::Write;
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .expect("a log file");
    let mut text = String::new();
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    file.write_all(text.as_bytes()).expect("lines are written");
}
