//! A histogram as Prometheus writes it: `{count:3, sum:4.5, (1,2]:3}`.

use std::fmt::Write;

use model::Histogram;

use super::buckets::buckets;
use crate::go::shortest;

/// The histogram with all buckets that are not empty.
pub fn text(histogram: &Histogram) -> String {
    let mut text = format!(
        "{{count:{}, sum:{}",
        shortest(histogram.count),
        shortest(histogram.sum)
    );
    for bucket in buckets(histogram) {
        if bucket.count != 0.0 {
            let _ = write!(
                text,
                ", {}{},{}{}:{}",
                if bucket.lower_inclusive { '[' } else { '(' },
                shortest(bucket.lower),
                shortest(bucket.upper),
                if bucket.upper_inclusive { ']' } else { ')' },
                shortest(bucket.count)
            );
        }
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::exponential;
    use super::*;

    #[test]
    fn buckets_show_which_borders_are_theirs() {
        let mut histogram = exponential(0, 1, &[2.0]);
        histogram.negative = histogram.positive.clone();
        (histogram.zero_count, histogram.zero_threshold) = (1.0, 0.001);
        assert_eq!(
            text(&histogram),
            "{count:2, sum:4, [-2,-1):2, [-0.001,0.001]:1, (1,2]:2}"
        );
    }
}
