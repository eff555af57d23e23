//! Blocks that Debian's promtool has made; skipped with a sentence where it is missing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use model::Labels;

use super::*;

const HOUR: i64 = 3_600_000;
/// 2023-11-14, on a boundary of two hours.
const START: i64 = 1_699_920_000_000;

const OPTIONS: Options = Options {
    window_ms: 2 * HOUR,
    oldest_ms: i64::MIN,
};

type Found = BTreeMap<String, Vec<(i64, u64)>>;

fn read_all(folder: &Path, options: &Options) -> (Found, Report) {
    let mut found = Found::new();
    let report = read(folder, options, &mut |part| {
        for (labels, samples) in part {
            let values = samples.values.iter().map(|v| v.to_bits());
            let pairs = samples.timestamps_ms.iter().copied().zip(values);
            found.entry(labels.to_string()).or_default().extend(pairs);
        }
        Ok(())
    })
    .expect("reads");
    (found, report)
}

/// Blocks of 40 series over six hours, and what is in them.
fn blocks(folder: &Path) -> Option<Found> {
    let mut text = String::new();
    let mut expected = Found::new();
    for i in 0..40i64 {
        if i == 0 {
            text.push_str("# TYPE some_metric gauge\n");
        }
        let labels = Labels::from_pairs([
            ("__name__", "some_metric".to_owned()),
            ("Upper", "x".to_owned()),
            ("i", format!("{i:02}")),
        ]);
        for n in 0..(6 * 120) {
            let time_ms = START + n * 30_000 + (n * i) % 7;
            let value = (n * i) as f64 / 8.0;
            let _ = writeln!(
                text,
                "some_metric{{Upper=\"x\",i=\"{i:02}\"}} {value} {}.{:03}",
                time_ms / 1000,
                time_ms % 1000
            );
            expected
                .entry(labels.to_string())
                .or_default()
                .push((time_ms, value.to_bits()));
        }
    }
    text.push_str("# EOF\n");
    let file = folder.join("in.om");
    std::fs::write(&file, text).expect("writes");
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&file)
        .arg(folder.join("data"))
        .output();
    match made {
        Ok(made) => {
            assert!(made.status.success(), "{made:?}");
            Some(expected)
        }
        Err(error) => {
            eprintln!("promtool is missing ({error}): nothing was tested");
            None
        }
    }
}

/// Needs Debian's promtool.
#[test]
fn every_sample_of_real_blocks_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(expected) = blocks(dir.path()) else {
        return;
    };
    let (found, report) = read_all(&dir.path().join("data"), &OPTIONS);
    assert_eq!(report.samples, 40 * 720);
    assert!(report.notices.is_empty(), "{:?}", report.notices);
    assert_eq!(found, expected);
    let late = Options {
        oldest_ms: START + 4 * HOUR,
        ..OPTIONS
    };
    let (found, report) = read_all(&dir.path().join("data"), &late);
    assert_eq!(report.notices.len(), 2, "two blocks are older");
    assert!(found.values().all(|pairs| pairs.len() == 240));
}

/// Needs Debian's promtool.
#[test]
fn damage_is_named_and_the_rest_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(_) = blocks(dir.path()) else {
        return;
    };
    let data = dir.path().join("data");
    let mut chunks: Vec<_> = std::fs::read_dir(&data)
        .expect("lists")
        .map(|entry| entry.expect("an entry").path().join("chunks/000001"))
        .filter(|path| path.is_file())
        .collect();
    chunks.sort();
    let mut bytes = std::fs::read(&chunks[0]).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&chunks[0], bytes).expect("writes");
    let (_, report) = read_all(&data, &OPTIONS);
    assert_eq!(report.notices.len(), 1, "{:?}", report.notices);
    assert!(
        report.notices[0].contains("checksum"),
        "{:?}",
        report.notices
    );
    assert!(report.samples < 40 * 720 && report.samples >= 39 * 720);
}

#[test]
fn another_folder_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = read(dir.path(), &OPTIONS, &mut |_| Ok(())).expect_err("refused");
    assert!(
        error.to_string().contains("no Prometheus data folder"),
        "{error}"
    );
}
