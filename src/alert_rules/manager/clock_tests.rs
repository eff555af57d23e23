//! A clock that is set while groups wait for their time.

use std::sync::Arc;
use std::time::Duration;

use model::time;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::{Memory, languages};

const HOUR_MS: i64 = 3_600_000;

fn manager() -> Arc<RuleManager> {
    let memory = Arc::new(Memory::default());
    let text = "groups:\n- {name: g, interval: 20ms, rules: [{record: r, expr: a}]}\n";
    let loaded = crate::parse("rules.yml", text, languages(&*memory));
    let manager = RuleManager::new(
        Options::default(),
        memory.clone(),
        memory.clone(),
        memory,
        Arc::new(|_| ()),
        Metrics::new(&mut prometheus_client::registry::Registry::default()),
    );
    manager.apply(loaded.groups);
    Arc::new(manager)
}

/// Runs until a group that was due at this time was evaluated, and as often again.
async fn evaluates(due_ms: i64) -> Arc<RuleManager> {
    let manager = manager();
    manager.clock.lock().entries[0].due_ms = due_ms;
    let cancel = CancellationToken::new();
    let task = tokio::spawn(manager.clone().run(cancel.clone()));
    let deadline = Instant::now() + Duration::from_mins(1);
    while manager.metrics.evaluations.get() < 3 {
        assert!(Instant::now() < deadline, "it is not evaluated");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancel.cancel();
    task.await.expect("it stops");
    manager
}

#[tokio::test]
async fn a_clock_set_back_by_an_hour_leaves_no_group_waiting() {
    evaluates(time::now_ms() + HOUR_MS).await;
}

#[tokio::test]
async fn a_clock_set_forward_by_a_day_is_not_made_up_for() {
    let manager = evaluates(time::now_ms() - 24 * HOUR_MS).await;
    let slots = 24 * HOUR_MS as u64 / 20;
    assert!(manager.metrics.iterations_missed.get() >= slots - 100);
    assert!(manager.metrics.evaluations.get() < 1_000);
}

#[test]
fn a_removed_group_keeps_its_two_turns() {
    let manager = manager();
    manager.apply(Vec::new());
    let mut clock = manager.clock.lock();
    let before_ms = clock.entries[0].due_ms;
    clock.entries[0].mend_clock(time::now_ms());
    assert_eq!(clock.entries[0].due_ms, before_ms);
}
