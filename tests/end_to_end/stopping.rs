//! Stopping is a story too.

use crate::appliance::{Site, append};

#[test]
fn an_interrupt_ends_it_cleanly_and_keeps_everything() {
    let site = Site::new();
    append(
        &site.path("logs/app.log"),
        (0..1000).map(|n| format!("line {n}")),
    );
    let yagura = site.start();
    yagura.wait_for("the lines", |y| {
        (y.logs("", 2000).len() == 1000).then_some(())
    });
    yagura.signal("INT");
    let status = yagura.wait();
    assert!(status.success(), "{status}");
    let yagura = site.start();
    assert_eq!(yagura.logs("", 2000).len(), 1000, "sealed when it stopped");
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let site = Site::new();
    let _first = site.start();
    let log = site.try_start().err().expect("the second one gives up");
    assert!(log.contains("another"), "{log}");
}
