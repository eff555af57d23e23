//! Names of OpenTelemetry as names of Prometheus: its default translation, with units as words
//! and `_total`.

use model::MetricKind;

/// Units by their symbols; those that are not here stand for themselves.
const UNITS: [(&str, &str); 31] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("bit", "bits"),
    ("kbit", "kilobits"),
    ("Mbit", "megabits"),
    ("Gbit", "gigabits"),
    ("K", "kelvin"),
];

/// Units behind "per".
const PER: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

fn word<'a>(table: &[(&str, &'a str)], unit: &'a str) -> &'a str {
    let found = table.iter().find(|(symbol, _)| *symbol == unit);
    found.map_or(unit, |(_, word)| word)
}

/// The words of a unit: `By/s` is `bytes_per_second`; what stands in braces is a remark.
pub(super) fn unit(unit: &str) -> String {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let plain = |part: &str| {
        let part = part.trim();
        if part.contains(['{', '}']) {
            String::new()
        } else {
            part.to_owned()
        }
    };
    let (main, per) = (plain(main), plain(per));
    let mut out = words(word(&UNITS, &main)).join("_");
    if !per.is_empty() {
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str("per_");
        out.push_str(&words(word(&PER, &per)).join("_"));
    }
    out
}

/// The parts of a name: whatever cannot stand in one divides them.
fn words(text: &str) -> Vec<&str> {
    let divides = |c: char| !(c.is_ascii_alphanumeric() || c == ':');
    text.split(divides)
        .filter(|word| !word.is_empty())
        .collect()
}

/// The name of a metric.
pub(super) fn metric(name: &str, raw_unit: &str, kind: MetricKind) -> String {
    let mut parts: Vec<String> = words(name).into_iter().map(str::to_owned).collect();
    let unit = unit(raw_unit);
    for part in unit.split('_').filter(|part| !part.is_empty()) {
        if !parts.iter().any(|known| known == part) || part == "per" {
            parts.push(part.to_owned());
        }
    }
    let mut ending = |word: &str| {
        parts.retain(|part| part != word);
        parts.push(word.to_owned());
    };
    if kind == MetricKind::Counter {
        ending("total");
    }
    if raw_unit == "1" && kind == MetricKind::Gauge {
        ending("ratio");
    }
    let name = parts.join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("_{name}");
    }
    name
}

/// The name of a label.
pub(super) fn label(name: &str) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let clean: String = name.chars().map(clean).collect();
    if clean.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("key_{clean}");
    }
    if clean.starts_with('_') && !clean.starts_with("__") {
        return format!("key{clean}");
    }
    clean
}

/// A number as Prometheus writes it into labels.
pub(super) fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let power: i32 = power.parse().unwrap_or(0);
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", power.abs());
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named_as_prometheus_does() {
        let check = |name: &str, unit: &str, kind: MetricKind, expected: &str| {
            assert_eq!(metric(name, unit, kind), expected);
        };
        check(
            "http.server.request.duration",
            "s",
            MetricKind::Histogram,
            "http_server_request_duration_seconds",
        );
        check(
            "system.network.io",
            "By",
            MetricKind::Counter,
            "system_network_io_bytes_total",
        );
        check(
            "requests",
            "{request}",
            MetricKind::Counter,
            "requests_total",
        );
        check("requests_total", "1", MetricKind::Counter, "requests_total");
        check(
            "system.cpu.utilization",
            "1",
            MetricKind::Gauge,
            "system_cpu_utilization_ratio",
        );
        check("speed", "By/s", MetricKind::Gauge, "speed_bytes_per_second");
        check("5xx.errors", "", MetricKind::Counter, "_5xx_errors_total");
        check("disk.bytes", "By", MetricKind::Gauge, "disk_bytes");
    }

    #[test]
    fn labels_are_named_as_prometheus_does() {
        for (name, expected) in [
            ("http.method", "http_method"),
            ("1st", "key_1st"),
            ("_private", "key_private"),
            ("__name", "__name"),
        ] {
            assert_eq!(label(name), expected);
        }
    }

    #[test]
    fn numbers_are_written_as_prometheus_does() {
        for (value, expected) in [(0.5, "0.5"), (10.0, "10"), (1e21, "1e+21"), (1e-5, "1e-05")] {
            assert_eq!(number(value), expected);
        }
    }
}
