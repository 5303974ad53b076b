//! `SUMX ( Product, [Quantity] * Product[Price] )` and the like by one scan without groups: the sum
//! over rows, or values, of a sum over the rows that belong to each is the sum over these, each
//! times what the row it belongs to says.

use evercube_base::{DataType, Result, Value};
use evercube_dax::ast::BinaryOperator;
use evercube_store::{Aggregate, ColumnId, PathColumn, RowExpr, TableId};

use super::Evaluator;
use super::cells::{Cells, Scalars};
use super::iterate::{not_zero, of_aggregates};
use super::scan::Reach;
use super::values_by_scan::{Iterated, Plain, plain};
use crate::plan::{Fold, Kind, Node};
use crate::rules::Rule;

/// A product of one plain sum and what the row of the iteration says.
struct Product<'n> {
    sum: Plain<'n>,
    factors: Vec<Factor>,
}

enum Factor {
    Constant(Value),
    /// A column of the iterated table.
    Own(ColumnId),
    /// A column that a row of it refers to.
    Related(PathColumn),
}

impl Evaluator<'_> {
    /// The sum over `table` of a product; `None` where the body is another one.
    pub(super) fn related_sum(
        &self,
        cells: &Cells,
        table: &Node,
        body: &Node,
    ) -> Result<Option<Scalars>> {
        let iterated = Iterated::of(table).filter(|_| self.has(Rule::IterationAsScan));
        let Some(iterated) = iterated else { return Ok(None) };
        let mut factors = Vec::new();
        let mut sum = None;
        if self.split(body, &iterated, cells.frames.len(), &mut sum, &mut factors).is_none() {
            return Ok(None);
        }
        let Some(sum) = sum else { return Ok(None) };
        if !self.is_apart(cells, &iterated, sum.table) {
            return Ok(None);
        }
        let product = Product { sum, factors };
        let summed = match product.sum.body {
            None => None,
            Some(body) => match self.row_expression(body, product.sum.frame, product.sum.table) {
                Some(expression) => Some(expression),
                None => return Ok(None),
            },
        };
        let make = |reach: &Reach| Ok(vec![product.aggregate(reach, iterated.table, &summed)]);
        let grouped = self.scan(cells, product.sum.table, &[], false, &make)?;
        let counts = summed.is_none() && product.factors.is_empty();
        let mut out = vec![Value::Blank; cells.n];
        for (cell, value) in
            grouped.cells.iter().zip(grouped.aggregates.first().into_iter().flatten())
        {
            out[*cell as usize] = match value {
                Value::Int(n) if counts => not_zero(*n),
                value => of_aggregates(Fold::Sum, |_| value.clone()),
            };
        }
        Ok(Some(Scalars::each(out)))
    }

    /// Takes a product apart; `None` where it is not one of a single sum, or not exact.
    fn split<'n>(
        &self,
        node: &'n Node,
        iterated: &Iterated,
        frame: usize,
        sum: &mut Option<Plain<'n>>,
        factors: &mut Vec<Factor>,
    ) -> Option<()> {
        if !matches!(node.data_type(), DataType::Int64 | DataType::Decimal) {
            return None;
        }
        match &node.kind {
            Kind::Binary { operator: BinaryOperator::Multiply, left, right } => {
                self.split(left, iterated, frame, sum, factors)?;
                self.split(right, iterated, frame, sum, factors)?;
            }
            Kind::Literal(value) if !value.is_blank() => {
                factors.push(Factor::Constant(value.clone()));
            }
            Kind::RowColumn { frame: f, column } if *f == frame => {
                factors.push(Factor::Own(iterated.column(*column)?));
            }
            Kind::Related { frame: f, path, column } if *f == frame && iterated.is_rows() => {
                let (path, column) = (path.clone(), *column);
                factors.push(Factor::Related(PathColumn { path, column }));
            }
            _ => match plain(node, frame)? {
                of if of.table == iterated.table => factors.push(self.of_row(&of, iterated)?),
                of if matches!((of.fold, of.body), (Fold::Sum, Some(_)) | (_, None)) => {
                    if sum.is_some() {
                        return None;
                    }
                    *sum = Some(of);
                }
                _ => return None,
            },
        }
        Some(())
    }

    /// An aggregate over the only row there is, as `CALCULATE ( MAX ( Product[Price] ) )` is where
    /// products are gone through.
    fn of_row(&self, of: &Plain<'_>, iterated: &Iterated) -> Option<Factor> {
        let is_one_row = iterated.is_rows() || iterated.columns.iter().any(|c| self.tells_rows(*c));
        let is_value = matches!(of.fold, Fold::Sum | Fold::Min | Fold::Max);
        match of.body?.kind {
            Kind::RowColumn { frame, column } if is_one_row && is_value && frame == of.frame => {
                let column = ColumnId { table: of.table, column: column as u32 };
                Some(Factor::Own(column))
            }
            _ => None,
        }
    }
}

impl Product<'_> {
    fn aggregate(&self, reach: &Reach, iterated: TableId, summed: &Option<RowExpr>) -> Aggregate {
        let way = reach.path(iterated).cloned().unwrap_or_default();
        let factors = self.factors.iter().map(|factor| match factor {
            Factor::Constant(value) => RowExpr::Constant(value.clone()),
            Factor::Own(column) => {
                RowExpr::Column(PathColumn { path: way.clone(), column: *column })
            }
            Factor::Related(PathColumn { path, column }) => RowExpr::Column(PathColumn {
                path: way.iter().chain(path).copied().collect(),
                column: *column,
            }),
        });
        let times = |a, b| RowExpr::Multiply(Box::new(a), Box::new(b));
        match summed.iter().cloned().chain(factors).reduce(times) {
            Some(product) => Aggregate::Sum(product),
            None => Aggregate::CountRows,
        }
    }
}
