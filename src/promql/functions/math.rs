//! Functions of a single number.

use super::Args;
use crate::column::{Map, Scalar};
use crate::grid::Grid;
use crate::query::Query;
use crate::value::QueryError;

/// Each name here is a function of a vector that applies the formula to every value.
macro_rules! of_every_value {
    ($($name:ident: $formula:expr;)*) => {
        $(
            pub(super) fn $name(
                _: &Query<'_>,
                _: &Args<'_>,
                _: &Grid,
            ) -> Result<Map, QueryError> {
                let formula: fn(f64) -> f64 = $formula;
                Ok(Map::new(true, move |_, value| formula(value)))
            }
        )*
    };
}

of_every_value! {
    abs: f64::abs;
    ceil: f64::ceil;
    floor: f64::floor;
    exp: f64::exp;
    sqrt: f64::sqrt;
    ln: f64::ln;
    log2: f64::log2;
    log10: f64::log10;
    deg: |v| v * 180.0 / std::f64::consts::PI;
    rad: |v| v * std::f64::consts::PI / 180.0;
    sin: f64::sin;
    cos: f64::cos;
    tan: f64::tan;
    asin: f64::asin;
    acos: f64::acos;
    atan: f64::atan;
    sinh: f64::sinh;
    cosh: f64::cosh;
    tanh: f64::tanh;
    asinh: f64::asinh;
    acosh: f64::acosh;
    atanh: f64::atanh;
    sgn: |v| match v {
        v if v > 0.0 => 1.0,
        v if v < 0.0 => -1.0,
        v => v,
    };
}

pub(super) fn pi(_: &Query<'_>, _: &Args<'_>, _: &Grid) -> Result<Scalar, QueryError> {
    Ok(Scalar::Constant(std::f64::consts::PI))
}

pub(super) fn min_of(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Scalar, QueryError> {
    let (a, b) = (args.scalar(query, 0, grid)?, args.scalar(query, 1, grid)?);
    Ok(a.zip(&b, grid.count, min))
}

pub(super) fn max_of(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Scalar, QueryError> {
    let (a, b) = (args.scalar(query, 0, grid)?, args.scalar(query, 1, grid)?);
    Ok(a.zip(&b, grid.count, max))
}

/// The smaller number, or NaN where one of them is (`f64::min` would prefer the other).
pub(crate) fn min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

/// The larger number, or NaN where one of them is.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}
