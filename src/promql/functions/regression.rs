//! Trends over a range: straight lines by least squares, and double exponential smoothing.

use super::lanes;
use super::range::{RangeFunction, Slide, Window};
use crate::column::ABSENT;
use crate::kahan::Kahan;
use crate::query::execution;

/// The slope of the line, per second.
pub(super) const DERIV: RangeFunction = RangeFunction {
    needs_two: true,
    slide: Some(|slide, out| {
        let first_ms = |step: usize| slide.times_ms[slide.windows[step].0];
        lines(slide, out, first_ms, |(slope, _), _| slope);
    }),
    ..RangeFunction::new(|w| {
        if w.len() < 2 {
            return ABSENT;
        }
        line(w, w.first_ms()).0
    })
};

/// Where the line will be some seconds after the step.
pub(super) const PREDICT_LINEAR: RangeFunction = RangeFunction {
    needs_two: true,
    needs_eval_time: true,
    slide: Some(|slide, out| {
        let eval_ms = |step: usize| slide.eval.time_ms(step);
        lines(slide, out, eval_ms, |(slope, intercept), step| {
            slope * slide.param(0, step) + intercept
        });
    }),
    ..RangeFunction::new(|w| {
        if w.len() < 2 {
            return ABSENT;
        }
        let (slope, intercept) = line(w, w.eval_ms);
        slope * w.param(0) + intercept
    })
};

/// Holt's linear method: a level smoothed by the first factor, a trend by the second.
pub(super) const DOUBLE_EXPONENTIAL_SMOOTHING: RangeFunction = RangeFunction {
    needs_two: true,
    check: Some(|_, factor, index, place| {
        if factor > 0.0 && factor < 1.0 {
            return Ok(());
        }
        let what = if index == 0 { "smoothing" } else { "trend" };
        Err(execution(
            format!("invalid {what} factor: expected 0 < factor < 1, got {factor}"),
            place,
        ))
    }),
    slide: Some(smoothings),
    ..RangeFunction::new(|w| {
        if w.len() < 2 {
            return ABSENT;
        }
        let mut smoothing = Smoothing::new(w.param(0), w.param(1), w.values);
        for (nth, value) in w.values.iter().enumerate() {
            smoothing.add(*value, nth);
        }
        smoothing.level
    })
};

/// A level and a trend under way.
#[derive(Clone, Copy)]
struct Smoothing {
    factor: f64,
    trend_factor: f64,
    before: f64,
    level: f64,
    trend: f64,
}

impl Smoothing {
    /// Of a window, which has two values at least if it is to mean something.
    fn new(factor: f64, trend_factor: f64, values: &[f64]) -> Self {
        Self {
            factor,
            trend_factor,
            before: 0.0,
            level: values[0],
            trend: values.get(1).unwrap_or(&f64::NAN) - values[0],
        }
    }

    #[inline]
    fn add(&mut self, value: f64, nth: usize) {
        if nth == 0 {
            return;
        }
        if nth > 1 {
            let moved = self.level - self.before;
            self.trend = self.trend_factor * moved + (1.0 - self.trend_factor) * self.trend;
        }
        let kept = (1.0 - self.factor) * (self.level + self.trend);
        (self.before, self.level) = (self.level, self.factor * value + kept);
    }
}

/// `double_exponential_smoothing` of all windows.
pub(super) fn smoothings(slide: &Slide<'_>, out: &mut [f64]) {
    let steps = slide.windows.iter().enumerate();
    let steps = steps.filter(|(_, (low, high))| low + 2 <= *high);
    let steps: Vec<usize> = steps.map(|(step, _)| step).collect();
    lanes::each::<_, 4>(
        slide.windows,
        &steps,
        out,
        |step| {
            let (low, high) = slide.windows[step];
            let (factor, trend_factor) = (slide.param(0, step), slide.param(1, step));
            Smoothing::new(factor, trend_factor, &slide.values[low..high])
        },
        |smoothing, place, nth| smoothing.add(slide.values[place], nth),
        |smoothing, _, _| smoothing.level,
    );
}

/// The lines of all windows, x being 0 at a time that a step has, and what is made of them.
pub(super) fn lines(
    slide: &Slide<'_>,
    out: &mut [f64],
    at_ms: impl Fn(usize) -> i64,
    finish: impl Fn((f64, f64), usize) -> f64,
) {
    let mut moving =
        lanes::constant_or_moving(slide, out, |step, value| finish((0.0, value), step));
    // There is no line through one point.
    let is_point = |step: usize| slide.windows[step].0 + 1 == slide.windows[step].1;
    moving.retain(|step| !is_point(*step));
    for (step, out) in out.iter_mut().enumerate() {
        if is_point(step) {
            *out = ABSENT;
        }
    }
    lanes::each::<_, 2>(
        slide.windows,
        &moving,
        out,
        |step| Sums::new(at_ms(step)),
        |sums, place, _| sums.add(slide.times_ms[place], slide.values[place]),
        |sums, step, count| finish(sums.line(count), step),
    );
}

/// The line of least squares: its slope per second, and its value at a time.
fn line(w: &Window<'_>, at_ms: i64) -> (f64, f64) {
    let first = w.first();
    if w.values.iter().all(|v| *v == first) {
        // No rounding can tilt a constant.
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
    }
    let mut sums = Sums::new(at_ms);
    for (time_ms, y) in w.times_ms.iter().zip(w.values) {
        sums.add(*time_ms, *y);
    }
    sums.line(w.len())
}

/// What a line of least squares is made of: sums of x, y, x·y and x·x.
#[derive(Clone, Copy)]
struct Sums {
    /// Where x is 0.
    at_ms: i64,
    sums: [Kahan; 4],
}

impl Sums {
    fn new(at_ms: i64) -> Self {
        Self {
            at_ms,
            sums: [Kahan::default(); 4],
        }
    }

    #[inline]
    fn add(&mut self, time_ms: i64, y: f64) {
        let x = (time_ms - self.at_ms) as f64 / 1000.0;
        for (sum, value) in self.sums.iter_mut().zip([x, y, x * y, x * x]) {
            sum.add(value);
        }
    }

    /// The line's slope and its value where x is 0.
    fn line(self, count: usize) -> (f64, f64) {
        let n = count as f64;
        let [x, y, xy, xx] = self.sums.map(|sum| sum.sum + sum.carry);
        let slope = (xy - x * y / n) / (xx - x * x / n);
        (slope, y / n - slope * x / n)
    }
}
