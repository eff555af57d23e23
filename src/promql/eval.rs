//! Walks over an expression and computes its columns.

use model::{Labels, Samples};
use rayon::prelude::*;

use crate::aggregations;
use crate::binary;
use crate::column::{Map, Scalar, Series, Vector, is_present, without_name};
use crate::functions::{self, Args, Behaviour, range::RangeFunction};
use crate::grid::Grid;
use crate::leaf::{ColumnBuilder, Fold, Leaf, RangeCall, Source};
use crate::query::{Lease, Query, execution, from_store};
use crate::syntax::{Binary, Expr, Extent, Node, Selector, Subquery, ValueKind};
use crate::value::QueryError;

/// Series with their samples, and the memory that they are charged with.
pub(crate) type Matrix = (Vec<(Labels, Samples)>, Lease);

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
            Node::Negate(inner) => mapped(self.vector(inner, grid)?, &negation()),
            Node::Binary(node) if (node.lhs.kind(), node.rhs.kind()) == BOTH_VECTORS => {
                binary::evaluate(self, node, expr.place, grid)
            }
            Node::Binary(node) => {
                let (map, side) = self.scalar_operation(node, grid)?;
                mapped(self.vector(side, grid)?, &map)
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
                        mapped(vector, &map)
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
        if let Some(leaf) = self.leaf(expr, grid)?
            && !leaf.may_collide()
        {
            return leaf.run(self, grid, make);
        }
        let vector = self.vector(expr, grid)?;
        let mut fold = make()?;
        for mut series in vector.series {
            fold.take(series.labels, &mut series.values)?;
        }
        Ok(vec![fold])
    }

    /// The expression as a leaf, if it is a selector with nothing above it but what works series
    /// by series.
    fn leaf<'e>(&self, expr: &'e Expr, grid: &Grid) -> Result<Option<Leaf<'e>>, QueryError> {
        let (map, inner) = match &expr.node {
            Node::Selector(selector) => {
                refuse_extent(selector, expr.place)?;
                return Ok(Some(Leaf::new(selector, Source::Value)));
            }
            Node::Negate(inner) => (negation(), &**inner),
            Node::Binary(node) if (node.lhs.kind(), node.rhs.kind()) != BOTH_VECTORS => {
                let side = vector_side(node);
                // Only then are the scalars worth computing.
                if !is_leaf(side) {
                    return Ok(None);
                }
                self.scalar_operation(node, grid)?
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
                        refuse_extent(selector, arg.place)?;
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
        // Series that fall together must be joined before the next change sees them.
        if leaf.may_collide() {
            return Ok(None);
        }
        leaf.maps.push(map);
        Ok(Some(leaf))
    }

    /// An operator between a vector and a scalar as a change of the vector's values.
    fn scalar_operation<'e>(
        &self,
        node: &'e Binary,
        grid: &Grid,
    ) -> Result<(Map, &'e Expr), QueryError> {
        binary::refuse_trimming(node.op, node.lhs.place)?;
        let scalar_first = node.lhs.kind() == ValueKind::Scalar;
        let (scalar, vector) = if scalar_first {
            (&node.lhs, &node.rhs)
        } else {
            (&node.rhs, &node.lhs)
        };
        let scalar = self.scalar(scalar, grid)?;
        let map = binary::with_scalar(node.op, scalar, scalar_first, node.matching.returns_bool);
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
        let range_ms = match &matrix.node {
            Node::Range(_, range) => range.ms,
            _ => return Ok(None),
        };
        let call = self.range_call_over(function, args, range_ms, matrix.place, grid)?;
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
            .map(|(labels, mut samples)| {
                let mut values = Vec::with_capacity(grid.count);
                ColumnBuilder::new(self, &source, *grid, refs).build(
                    &labels,
                    &mut samples,
                    &mut values,
                );
                let labels = if keeps_name {
                    labels
                } else {
                    without_name(&labels)
                };
                Series { labels, values }
            })
            .filter(|series| series.values.iter().any(|v| is_present(*v)))
            .collect();
        let mut vector = Vector {
            series,
            ordered: false,
            lease,
        };
        if !keeps_name {
            vector.merge_same_labels()?;
        }
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
        let series = vector
            .series
            .into_iter()
            .map(|series| {
                let mut samples = Samples::default();
                for (step, value) in series.values.iter().enumerate() {
                    if is_present(*value) {
                        samples.push(inner.time_ms(step), *value);
                    }
                }
                (series.labels, samples)
            })
            .collect();
        Ok((series, lease))
    }

    /// The samples of a range vector at one time: what an instant query of `x[5m]` shows.
    pub(crate) fn matrix(&self, expr: &Expr, grid: &Grid) -> Result<Matrix, QueryError> {
        match &expr.node {
            Node::Subquery(subquery) => {
                let (mut series, lease) = self.subquery(subquery, grid)?;
                // A query with one step looks at one window.
                let end_ms = self.subquery_refs(subquery, grid).end_ms();
                for (_, samples) in &mut series {
                    let keep = samples.timestamps_ms.partition_point(|t| *t <= end_ms);
                    samples.timestamps_ms.truncate(keep);
                    samples.values.truncate(keep);
                }
                Ok((series, lease))
            }
            Node::Range(selector, range) => {
                refuse_extent(selector, expr.place)?;
                let refs = self.look_at(selector, grid);
                let selection = model::Selection {
                    matchers: selector.matchers.clone(),
                    start_ms: refs.start_ms.saturating_sub(range.ms),
                    end_ms: refs.end_ms(),
                    series_max: self.options.series_max,
                    cursors_max: 1,
                };
                let cursors = self.reader.select(&selection).map_err(|e| from_store(&e))?;
                let mut lease = self.hold(0, 0)?;
                let mut series = Vec::new();
                let mut samples = Samples::default();
                for mut cursor in cursors {
                    while let Some(labels) = cursor
                        .next_series(&mut samples)
                        .map_err(|e| from_store(&e))?
                    {
                        self.count_read(samples.len())?;
                        // A sample takes two slots: its time and its value.
                        lease.grow(1, samples.len().saturating_mul(2))?;
                        let mut kept = Samples::default();
                        let pairs = samples.timestamps_ms.iter().zip(&samples.values);
                        for (time, value) in pairs.filter(|(_, v)| !model::is_stale(**v)) {
                            kept.push(*time, *value);
                        }
                        series.push((labels, kept));
                    }
                }
                Ok((series, lease))
            }
            _ => Err(unexpected(expr, ValueKind::Matrix)),
        }
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
fn mapped(mut vector: Vector, map: &Map) -> Result<Vector, QueryError> {
    vector.series.par_iter_mut().for_each(|series| {
        map.apply(&mut series.values);
        if map.drops_name {
            series.labels = without_name(&series.labels);
        }
    });
    vector
        .series
        .retain(|series| series.values.iter().any(|v| is_present(*v)));
    if map.drops_name {
        vector.merge_same_labels()?;
    }
    Ok(vector)
}

fn negation() -> Map {
    Map::new(true, |_, value| -value)
}

/// The value of an expression of kind text.
pub(crate) fn text(expr: &Expr) -> Result<&str, QueryError> {
    match &expr.node {
        Node::Text(text) => Ok(text),
        _ => Err(unexpected(expr, ValueKind::Text)),
    }
}

/// Refuses what cannot be computed yet.
fn refuse_extent(selector: &Selector, place: Option<usize>) -> Result<(), QueryError> {
    match selector.extent {
        Extent::Plain => Ok(()),
        Extent::Anchored => Err(execution("anchored is not supported yet", place)),
        Extent::Smoothed => Err(execution("smoothed is not supported yet", place)),
    }
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
