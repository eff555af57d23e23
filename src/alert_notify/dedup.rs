//! Is there anything to tell, given what was told before?

use std::collections::BTreeSet;

use crate::state::NotificationEntry;

/// What is to be told about a group now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State<'a> {
    /// Fingerprints of the alerts that fire.
    pub(crate) firing: &'a BTreeSet<u64>,
    /// Fingerprints of the alerts that are over.
    pub(crate) resolved: &'a BTreeSet<u64>,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) now_ms: i64,
}

/// Whether a receiver must hear of a group again: a new alert fires, all are over, one is over
/// (and the receiver wants to know), or the repeat interval has passed.
pub(crate) fn needed(
    before: Option<&NotificationEntry>,
    state: State<'_>,
    send_resolved: bool,
    repeat_ms: i64,
) -> bool {
    let Some(before) = before else {
        return !state.firing.is_empty();
    };
    if !state.firing.is_subset(&before.firing) {
        return true;
    }
    if state.firing.is_empty() {
        // Also for receivers that do not want to hear of it: the log must know that it is over.
        // One that never heard of the fire needs no all-clear.
        return !before.firing.is_empty();
    }
    if send_resolved && !state.resolved.is_subset(&before.resolved) {
        return true;
    }
    before.sent_ms < state.now_ms.saturating_sub(repeat_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_new_and_repeats_what_is_old() {
        const REPEAT: i64 = 100;
        let set = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<u64>>();
        let check = |before: Option<(&[u64], &[u64], i64)>,
                     firing: &[u64],
                     resolved: &[u64],
                     send_resolved: bool,
                     expected: bool| {
            let before = before.map(|(firing, resolved, sent_ms)| NotificationEntry {
                firing: set(firing),
                resolved: set(resolved),
                sent_ms,
            });
            let (firing, resolved) = (set(firing), set(resolved));
            let state = State {
                firing: &firing,
                resolved: &resolved,
                now_ms: 1_000,
            };
            let result = needed(before.as_ref(), state, send_resolved, REPEAT);
            assert_eq!(result, expected, "{before:?} {state:?}");
        };
        // Nothing was told yet.
        check(None, &[1], &[], true, true);
        check(None, &[], &[1], true, false);
        // A new alert; the same ones; one less.
        check(Some((&[1], &[], 950)), &[1, 2], &[], true, true);
        check(Some((&[1, 2], &[], 950)), &[1, 2], &[], true, false);
        check(Some((&[1, 2], &[], 950)), &[1], &[2], true, true);
        check(Some((&[1, 2], &[], 950)), &[1], &[2], false, false);
        check(Some((&[1], &[2], 950)), &[1], &[2], true, false);
        // All over: told once, whatever the receiver wants.
        check(Some((&[1], &[], 950)), &[], &[1], true, true);
        check(Some((&[1], &[], 950)), &[], &[1], false, true);
        check(Some((&[], &[1], 950)), &[], &[1], true, false);
        // Fired and ended between two looks, unknown to the receiver.
        check(Some((&[], &[], 950)), &[], &[3], true, false);
        // The repeat interval.
        check(Some((&[1], &[], 901)), &[1], &[], true, false);
        check(Some((&[1], &[], 899)), &[1], &[], true, true);
    }
}
