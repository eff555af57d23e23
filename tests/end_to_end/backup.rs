//! `yagura backup` and `yagura check data`: a copy that was made is one that can be started.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::appliance::{Site, append};

fn yagura(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_yagura"))
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

#[test]
fn a_killed_yagura_is_copied_checked_and_started_again_from_the_copy() {
    let site = Site::new();
    append(
        &site.path("logs/app.log"),
        (0..500).map(|n| format!("line {n}")),
    );
    let running = site.start();
    running.wait_for("the lines", |y| {
        (y.logs("", 1000).len() == 500).then_some(())
    });
    running.wait_for("samples", |y| y.value("count({job=\"yagura\"})"));
    let (data, copy) = (site.path("data"), site.path("copy"));
    let in_use = yagura(&["check", "data", text(&data)]);
    assert!(!in_use.status.success());
    assert!(said(&in_use).contains("in use"), "{}", said(&in_use));
    running.kill();
    let made = yagura(&["backup", text(&copy), "--data", text(&data)]);
    assert!(made.status.success(), "{}", said(&made));
    let again = yagura(&["backup", text(&copy), "--data", text(&data)]);
    assert!(said(&again).contains("exists"), "{}", said(&again));
    for folder in [&data, &copy] {
        let checked = yagura(&["check", "data", text(folder)]);
        assert!(checked.status.success(), "{}", said(&checked));
        assert!(said(&checked).contains(": good"), "{}", said(&checked));
    }
    // In the place of the original the copy is a data folder like it.
    fs::rename(&data, site.path("lost")).expect("moves");
    fs::rename(&copy, &data).expect("moves");
    let running = site.start();
    let lines = running.logs("", 1000).len();
    let lines = if lines == 500 {
        lines
    } else {
        // Lines that were not sealed are read again from their file.
        running.wait_for("the lines", |y| {
            Some(y.logs("", 1000).len()).filter(|n| *n == 500)
        })
    };
    assert_eq!(lines, 500);
    let before = running.value("max(max_over_time(yagura_metric_store_samples_total[1h]))");
    assert!(before.is_some(), "samples from before");
    drop(running);
    let page = data.join("metrics/journal");
    let journal = fs::read_dir(page).expect("lists").next();
    let journal = journal.expect("one").expect("an entry").path();
    let mut bytes = fs::read(&journal).expect("reads");
    for byte in bytes.iter_mut().skip(40).take(8) {
        *byte ^= 0xff;
    }
    fs::write(&journal, bytes).expect("writes");
    let checked = yagura(&["check", "data", text(&data)]);
    assert!(!checked.status.success(), "{}", said(&checked));
    assert!(
        said(&checked).contains(".journal: damaged at byte"),
        "{}",
        said(&checked)
    );
}
