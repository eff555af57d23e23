//! Functions that must look at every sample of every window, several windows side by side.
//!
//! Corrected sums and smoothing are chains: each sample waits for what the one before it gave, and
//! a core has nothing else to do meanwhile. Windows do not wait for each other, so a few of them go
//! in step; each is computed in the same order as alone, so the results are the same to the bit.

use super::range::Slide;

/// Runs along the windows of some steps, all of which have samples, `LANES` of them at a time: as
/// many as fit into the registers with what they carry along. `start` makes that for a step,
/// `take` adds the sample at a place of the series to it, which is the nth of the window (from
/// 0), and `finish` makes the value of what was carried to the end, of the step, and of the
/// window's length.
pub(super) fn each<C: Copy, const LANES: usize>(
    windows: &[(usize, usize)],
    steps: &[usize],
    out: &mut [f64],
    start: impl Fn(usize) -> C,
    take: impl Fn(&mut C, usize, usize),
    finish: impl Fn(C, usize, usize) -> f64,
) {
    for some in steps.chunks(LANES) {
        // Lanes without a step of their own repeat the first one.
        let mut group = [some[0]; LANES];
        group[..some.len()].copy_from_slice(some);
        let lows = group.map(|step| windows[step].0);
        let lengths = group.map(|step| windows[step].1 - windows[step].0);
        let together = lengths.into_iter().min().unwrap_or(0);
        let mut chains = group.map(&start);
        for nth in 0..together {
            for (chain, low) in chains.iter_mut().zip(lows) {
                take(chain, low + nth, nth);
            }
        }
        for (lane, mut chain) in chains.into_iter().enumerate().take(some.len()) {
            for nth in together..lengths[lane] {
                take(&mut chain, lows[lane] + nth, nth);
            }
            out[group[lane]] = finish(chain, group[lane], lengths[lane]);
        }
    }
}

/// Fills in the windows that hold one finite value again and again, which needs no walk along
/// them, and returns the steps of all others that have samples. `constant` makes the value of
/// such a step. A series that does not move is
/// the usual one.
pub(super) fn constant_or_moving(
    slide: &Slide<'_>,
    out: &mut [f64],
    constant: impl Fn(usize, f64) -> f64,
) -> Vec<usize> {
    let values = slide.values;
    // For each place where the run of equal values began that it belongs to.
    let mut runs = Vec::with_capacity(values.len());
    let mut start = 0;
    for (place, value) in values.iter().enumerate() {
        if place > 0 && values[place - 1] != *value {
            start = place;
        }
        runs.push(start);
    }
    let mut moving = Vec::new();
    for (step, (low, high)) in slide.windows.iter().copied().enumerate() {
        if low == high {
            continue;
        }
        if values[low].is_finite() && runs[high - 1] <= low {
            out[step] = constant(step, values[low]);
        } else {
            moving.push(step);
        }
    }
    moving
}
