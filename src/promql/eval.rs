//! Walks over an expression and computes its columns.

use model::{Labels, Samples};
use rayon::prelude::*;
use rustc_hash::FxHashSet;

use crate::aggregations;
use crate::binary;
use crate::column::{Column, Map, Scalar, Series, Slot, Vector, without_name};
use crate::extent::Around;
use crate::functions::range::{Extended, RangeFunction};
use crate::functions::{self, Args, Behaviour};
use crate::grid::Grid;
use crate::leaf::{Fold, Leaf, RangeCall, Source};
use crate::native;
use crate::query::{Lease, Query, execution, from_store};
use crate::syntax::{Binary, Expr, Extent, Node, Subquery, ValueKind};
use crate::value::QueryError;
use crate::windows::{ColumnBuilder, drop_stale, forget_resets};

/// A series of a range vector.
pub(crate) struct RangeRow {
    pub(crate) labels: Labels,
    /// Whether the metric's name no longer fits.
    pub(crate) drops_name: bool,
    pub(crate) samples: Samples,
}

/// Series with their samples, and the memory that they are charged with.
pub(crate) type Matrix = (Vec<RangeRow>, Lease);

impl Query<'_> {
    /// The value of an expression of kind scalar.
    pub(crate) fn scalar(&self, expr: &Expr, grid: &Grid) -> Result<Scalar, QueryError> {
        match &expr.node {
            Node::Number(value) => Ok(Scalar::Constant(*value)),
            Node::Negate(inner) => Ok(self.scalar(inner, grid)?.map(|v| -v)),
            Node::Binary(binary) => {
                let lhs = self.scalar(&binary.lhs, grid)?;
                let rhs = self.scalar(&binary.rhs, grid)?;
                Ok(lhs.zip(&rhs, grid.count, |a, b| binary.op.of_scalars(a, b)))
            }
            Node::Call(function, args) => match &function.behaviour {
                Behaviour::Scalar(compute) => compute(self, &Args { args, expr }, grid),
                _ => Err(unexpected(expr, ValueKind::Scalar)),
            },
            _ => Err(unexpected(expr, ValueKind::Scalar)),
        }
    }

    /// The value of an expression of kind vector.
    pub(crate) fn vector(&self, expr: &Expr, grid: &Grid) -> Result<Vector, QueryError> {
        self.check_stop()?;
        if let Some(leaf) = self.leaf(expr, grid)? {
            return leaf.collect(self, grid);
        }
        match &expr.node {
            Node::Aggregate(aggregate) => aggregations::evaluate(self, aggregate, grid),
            Node::Negate(inner) => Ok(mapped(self.vector(inner, grid)?, &negation())),
            Node::Binary(node) if (node.lhs.kind(), node.rhs.kind()) == BOTH_VECTORS => {
                binary::evaluate(self, node, expr.place, grid)
            }
            Node::Binary(node) => {
                let (map, side) = self.scalar_operation(node, expr.place, grid)?;
                Ok(mapped(self.vector(side, grid)?, &map))
            }
            Node::Call(function, args) => {
                let args = Args { args, expr };
                match &function.behaviour {
                    Behaviour::Vector(compute) => compute(self, &args, grid),
                    Behaviour::Map(make) => {
                        let map = make(self, &args, grid)?;
                        let vector = match args.args.first() {
                            Some(arg) => self.vector(arg, grid)?,
                            // Functions of the calendar are asked about the step itself.
                            None => functions::vector_of_times(self, grid)?,
                        };
                        Ok(mapped(vector, &map))
                    }
                    Behaviour::Range(range) => self.over_subquery(range, &args, grid),
                    Behaviour::Scalar(_) => Err(unexpected(expr, ValueKind::Vector)),
                }
            }
            _ => Err(unexpected(expr, ValueKind::Vector)),
        }
    }

    /// Feeds the series of a vector into folds: straight from the store where that is possible,
    /// so that nothing but the folds is held.
    pub(crate) fn fold<F: Fold>(
        &self,
        expr: &Expr,
        grid: &Grid,
        make: impl Fn() -> Result<F, QueryError> + Sync,
    ) -> Result<Vec<F>, QueryError> {
        if let Some(leaf) = self.leaf(expr, grid)? {
            return leaf.run(self, grid, make);
        }
        let vector = self.vector(expr, grid)?;
        let mut fold = make()?;
        for mut series in vector.series {
            fold.take(series.labels, series.drops_name, &mut series.column)?;
        }
        Ok(vec![fold])
    }

    /// The expression as a leaf, if it is a selector with nothing above it but what works series
    /// by series.
    fn leaf<'e>(&self, expr: &'e Expr, grid: &Grid) -> Result<Option<Leaf<'e>>, QueryError> {
        let (map, inner) = match &expr.node {
            Node::Selector(selector) => {
                let source = match selector.extent {
                    Extent::Smoothed => Source::Smoothed,
                    Extent::Plain | Extent::Anchored => Source::Value,
                };
                return Ok(Some(Leaf::new(selector, source)));
            }
            Node::Negate(inner) => (negation(), &**inner),
            Node::Binary(node) if (node.lhs.kind(), node.rhs.kind()) != BOTH_VECTORS => {
                let side = vector_side(node);
                // Only then are the scalars worth computing.
                if !is_leaf(side) {
                    return Ok(None);
                }
                self.scalar_operation(node, expr.place, grid)?
            }
            Node::Call(function, args) => {
                let args = Args { args, expr };
                match &function.behaviour {
                    Behaviour::Range(range) => {
                        let Some((call, arg)) = self.range_call(range, &args, grid)? else {
                            return Ok(None);
                        };
                        let Node::Range(selector, _) = &arg.node else {
                            return Ok(None);
                        };
                        return Ok(Some(Leaf::new(selector, Source::Window(call))));
                    }
                    Behaviour::Map(make) => {
                        let Some(inner) = args.args.first() else {
                            return Ok(None);
                        };
                        if let ("timestamp", Node::Selector(selector)) =
                            (function.name, &inner.node)
                        {
                            return Ok(Some(Leaf::new(selector, Source::Timestamp)));
                        }
                        if !is_leaf(inner) {
                            return Ok(None);
                        }
                        (make(self, &args, grid)?, inner)
                    }
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        let Some(mut leaf) = self.leaf(inner, grid)? else {
            return Ok(None);
        };
        leaf.maps.push(map);
        Ok(Some(leaf))
    }

    /// An operator between a vector and a scalar as a change of the vector's values.
    fn scalar_operation<'e>(
        &self,
        node: &'e Binary,
        place: Option<usize>,
        grid: &Grid,
    ) -> Result<(Map, &'e Expr), QueryError> {
        let scalar_first = node.lhs.kind() == ValueKind::Scalar;
        let (scalar, vector) = if scalar_first {
            (&node.lhs, &node.rhs)
        } else {
            (&node.rhs, &node.lhs)
        };
        let scalar = self.scalar(scalar, grid)?;
        let map = binary::with_scalar(self, node, scalar, place);
        Ok((map, vector))
    }

    /// A function over a range: its range vector and its numbers. `None` where the range vector
    /// is a subquery.
    fn range_call<'e>(
        &self,
        function: &'static RangeFunction,
        args: &Args<'e>,
        grid: &Grid,
    ) -> Result<Option<(RangeCall, &'e Expr)>, QueryError> {
        let matrix = args
            .args
            .iter()
            .find(|arg| arg.kind() == ValueKind::Matrix)
            .ok_or_else(|| unexpected(args.expr, ValueKind::Matrix))?;
        let Node::Range(selector, range) = &matrix.node else {
            return Ok(None);
        };
        check_extent(function, args, selector.extent)?;
        let mut call = self.range_call_over(function, args, range.ms, matrix.place, grid)?;
        call.extent = selector.extent;
        Ok(Some((call, matrix)))
    }

    fn range_call_over(
        &self,
        function: &'static RangeFunction,
        args: &Args<'_>,
        range_ms: i64,
        place: Option<usize>,
        grid: &Grid,
    ) -> Result<RangeCall, QueryError> {
        let mut params = Vec::new();
        for arg in args.args.iter().filter(|a| a.kind() == ValueKind::Scalar) {
            let scalar = self.scalar(arg, grid)?;
            if let Some(check) = function.check {
                for value in scalar.iter(grid.count) {
                    check(self, value, params.len(), arg.place)?;
                }
            }
            params.push(scalar);
        }
        Ok(RangeCall {
            function,
            range_ms,
            extent: Extent::Plain,
            params,
            place,
        })
    }

    /// A function over the range of a subquery.
    fn over_subquery(
        &self,
        function: &'static RangeFunction,
        args: &Args<'_>,
        grid: &Grid,
    ) -> Result<Vector, QueryError> {
        let subquery = args
            .args
            .iter()
            .find_map(|arg| match &arg.node {
                Node::Subquery(subquery) => Some((subquery, arg.place)),
                _ => None,
            })
            .ok_or_else(|| unexpected(args.expr, ValueKind::Matrix))?;
        let (subquery, place) = subquery;
        let call = self.range_call_over(function, args, subquery.range.ms, place, grid)?;
        let refs = self.subquery_refs(subquery, grid);
        let (series, _lease) = self.subquery(subquery, grid)?;
        let mut lease = self.hold(0, 0)?;
        lease.grow(series.len(), grid.count)?;
        let source = Source::Window(call);
        let keeps_name = function.keeps_name;
        let series: Vec<Series> = series
            .into_par_iter()
            .map(|mut row| {
                let mut column = Column::default();
                let mut columns = ColumnBuilder::new(self, &source, *grid, refs);
                columns.build(&row.labels, &mut row.samples, &mut column)?;
                Ok(Series {
                    labels: row.labels,
                    drops_name: row.drops_name || !keeps_name,
                    column,
                })
            })
            .collect::<Result<_, QueryError>>()?;
        let mut vector = Vector {
            series,
            ordered: false,
            lease,
        };
        vector.drop_empty();
        Ok(vector)
    }

    fn subquery_refs(&self, subquery: &Subquery, grid: &Grid) -> Grid {
        let at_ms = subquery.at.map(|at| self.time_of(at));
        grid.shifted(at_ms, subquery.offset.ms)
    }

    /// The series of a subquery over all that the steps of a grid will look at.
    fn subquery(&self, subquery: &Subquery, grid: &Grid) -> Result<Matrix, QueryError> {
        let refs = self.subquery_refs(subquery, grid);
        let step_ms = subquery
            .step
            .as_ref()
            .map_or(self.options.subquery_step_ms, |step| step.ms)
            .max(1);
        // Steps lie on multiples of the step, whatever the query's start; the first one lies
        // after the exclusive start of the first range.
        let begin_ms = refs.start_ms.saturating_sub(subquery.range.ms);
        let first_ms = (begin_ms.div_euclid(step_ms) + 1) * step_ms;
        if first_ms > refs.end_ms() {
            return Ok((Vec::new(), self.hold(0, 0)?));
        }
        let inner = Grid::range(first_ms, refs.end_ms(), step_ms);
        // One column must fit before any is computed.
        drop(self.hold(1, inner.count)?);
        let vector = self.vector(&subquery.expr, &inner)?;
        let lease = vector.lease;
        let rows = vector.series.into_iter().map(|mut series| {
            forget_resets(&mut series.column);
            RangeRow {
                labels: series.labels,
                drops_name: series.drops_name,
                samples: series.column.into_samples(&inner),
            }
        });
        Ok((rows.collect(), lease))
    }

    /// The samples of a range vector at one time: what an instant query of `x[5m]` shows.
    pub(crate) fn matrix(&self, expr: &Expr, grid: &Grid) -> Result<Matrix, QueryError> {
        match &expr.node {
            Node::Subquery(subquery) => {
                // A query with one step looks at one window, and the last step of a subquery
                // does not lie after it.
                let (mut rows, lease) = self.subquery(subquery, grid)?;
                for row in &mut rows {
                    if row.drops_name {
                        row.labels = without_name(&row.labels);
                    }
                }
                Ok((rows, lease))
            }
            Node::Range(selector, range) => {
                let refs = self.look_at(selector, grid);
                let selection = self.selection(selector, &refs, Some(range.ms), 1);
                let cursors = self.reader.select(&selection).map_err(|e| from_store(&e))?;
                let mut lease = self.hold(0, 0)?;
                let mut rows = Vec::new();
                let mut samples = Samples::default();
                for mut cursor in cursors {
                    while let Some(labels) = cursor
                        .next_series(&mut samples)
                        .map_err(|e| from_store(&e))?
                    {
                        self.count_read(samples.len())?;
                        // A sample takes two slots: its time and its value.
                        let slots = crate::column::slots_of(&samples.histograms);
                        lease.grow(1, samples.len().saturating_mul(2).saturating_add(slots))?;
                        let mut kept = samples.clone();
                        drop_stale(&mut kept);
                        if selector.extent != Extent::Plain {
                            kept = self.extended(&kept, &refs, range.ms, selector.extent, expr)?;
                        }
                        rows.push(RangeRow {
                            labels,
                            drops_name: false,
                            samples: kept,
                        });
                    }
                }
                Ok((rows, lease))
            }
            _ => Err(unexpected(expr, ValueKind::Matrix)),
        }
    }

    /// The samples of a range that looks at the samples around it.
    fn extended(
        &self,
        samples: &Samples,
        refs: &Grid,
        range_ms: i64,
        extent: Extent,
        expr: &Expr,
    ) -> Result<Samples, QueryError> {
        if !samples.histograms.is_empty() {
            let message = "anchored modifier is not supported with histograms";
            return Err(execution(message, expr.place));
        }
        let start_ms = refs.start_ms.saturating_sub(range_ms);
        let around = Around::find(samples, start_ms, refs.start_ms, self.lookback_ms, extent);
        Ok(around.map(|around| around.samples()).unwrap_or_default())
    }
}

/// The selectors, by address, of whose histograms only counts and sums are wanted: those below
/// `histogram_count` and its like with nothing on the way that looks into buckets.
pub(crate) fn summaries(expr: &Expr) -> FxHashSet<usize> {
    let mut found = FxHashSet::default();
    collect_summaries(expr, false, &mut found);
    found
}

fn collect_summaries(expr: &Expr, wanted: bool, found: &mut FxHashSet<usize>) {
    let wanted = match &expr.node {
        Node::Call(function, _) => match function.name {
            "histogram_count" | "histogram_sum" | "histogram_avg" => true,
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => return,
            _ => wanted,
        },
        // The samples of a subquery have to be compared by themselves.
        Node::Subquery(_) => return,
        Node::Selector(selector) | Node::Range(selector, _) if wanted => {
            found.insert(std::ptr::from_ref(selector) as usize);
            return;
        }
        _ => wanted,
    };
    for child in expr.children() {
        collect_summaries(child, wanted, found);
    }
}

const BOTH_VECTORS: (ValueKind, ValueKind) = (ValueKind::Vector, ValueKind::Vector);

/// The side of an operator that is a vector, where the other is a scalar.
fn vector_side(node: &Binary) -> &Expr {
    if node.lhs.kind() == ValueKind::Scalar {
        &node.rhs
    } else {
        &node.lhs
    }
}

/// Whether an expression is a leaf, without computing anything.
fn is_leaf(expr: &Expr) -> bool {
    match &expr.node {
        Node::Selector(_) => true,
        Node::Negate(inner) => inner.kind() == ValueKind::Vector && is_leaf(inner),
        Node::Binary(node) => {
            (node.lhs.kind(), node.rhs.kind()) != BOTH_VECTORS && is_leaf(vector_side(node))
        }
        Node::Call(function, args) => match &function.behaviour {
            Behaviour::Range(_) => args.iter().any(|a| matches!(a.node, Node::Range(..))),
            Behaviour::Map(_) => args.first().is_some_and(is_leaf),
            _ => false,
        },
        _ => false,
    }
}

/// A vector with every value changed.
fn mapped(mut vector: Vector, map: &Map) -> Vector {
    vector.series.par_iter_mut().for_each(|series| {
        map.apply(&mut series.column);
        series.drops_name |= map.drops_name;
    });
    vector.drop_empty();
    vector
}

fn negation() -> Map {
    Map::new(true, |_, value| -value)
        .with_histograms(|_, histogram| Slot::of(native::times(histogram, -1.0)))
}

/// The value of an expression of kind text.
pub(crate) fn text(expr: &Expr) -> Result<&str, QueryError> {
    match &expr.node {
        Node::Text(text) => Ok(text),
        _ => Err(unexpected(expr, ValueKind::Text)),
    }
}

/// Refuses a range that looks around it where the function has no use for that.
fn check_extent(
    function: &RangeFunction,
    args: &Args<'_>,
    extent: Extent,
) -> Result<(), QueryError> {
    let fits = |extended: Extended| match extent {
        Extent::Plain => true,
        Extent::Anchored => !matches!(extended, Extended::No),
        Extent::Smoothed => matches!(extended, Extended::Difference { .. }),
    };
    if fits(function.extended) {
        return Ok(());
    }
    let modifier = if extent == Extent::Anchored {
        "anchored"
    } else {
        "smoothed"
    };
    let name = match &args.expr.node {
        Node::Call(function, _) => function.name,
        _ => "this",
    };
    let fitting = functions::ranges_that(fits).join(", ");
    Err(execution(
        format!("{modifier} modifier can only be used with: {fitting} - not with {name}"),
        args.expr.place,
    ))
}

/// What the parser's types rule out.
fn unexpected(expr: &Expr, wanted: ValueKind) -> QueryError {
    execution(
        format!(
            "{} is expected here, not {}",
            wanted.with_article(),
            expr.kind().with_article()
        ),
        expr.place,
    )
}
