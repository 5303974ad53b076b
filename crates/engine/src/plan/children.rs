//! The expressions an expression is made of.

use super::{
    FilterArgument, GroupFilter, Kind, NamedNode, Node, Rollup, SortKey, TextForm, WindowNode,
};

impl Kind {
    /// Whether an expression of this kind follows from its parts alone: it goes through no rows, and
    /// looks at no filters but by them.
    pub(crate) fn is_of_its_parts(&self) -> bool {
        matches!(
            self,
            Self::Scalar { .. }
                | Self::Binary { .. }
                | Self::And(..)
                | Self::Or(..)
                | Self::Not(_)
                | Self::Negate(_)
                | Self::If { .. }
                | Self::Switch { .. }
                | Self::Coalesce(_)
                | Self::IfError { .. }
                | Self::IsError(_)
                | Self::Pick { .. }
                | Self::CountRows(_)
                | Self::IsEmpty(_)
                | Self::SingleValue { .. }
                | Self::In { .. }
                | Self::Contains { .. }
                | Self::Rows(_)
                | Self::KeepFilters(_)
                | Self::Distinct(_)
                | Self::CrossJoin(_)
                | Self::Set(..)
                | Self::TreatAs(_)
        )
    }
}

impl Node {
    /// Every expression that is evaluated as a part of this one, tables before what is asked of
    /// their rows.
    pub fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Literal(_)
            | Kind::RowColumn { .. }
            | Kind::Related { .. }
            | Kind::Variable(_)
            | Kind::SelectedMeasure(_)
            | Kind::Context { .. }
            | Kind::ModelTable { .. }
            | Kind::Values { .. }
            | Kind::Filters(_)
            | Kind::CurrentGroup
            | Kind::ColumnStatistics => Vec::new(),
            Kind::Measure { body, .. } | Kind::FormatString { body, .. } => vec![body],
            Kind::Not(one)
            | Kind::Negate(one)
            | Kind::IsError(one)
            | Kind::CountRows(one)
            | Kind::IsEmpty(one)
            | Kind::Unfiltered(one)
            | Kind::KeepFilters(one)
            | Kind::Distinct(one)
            | Kind::TreatAs(one)
            | Kind::CalendarAuto(one)
            | Kind::AllSelected { body: one, .. } => vec![one],
            Kind::Binary { left, right, .. }
            | Kind::And(left, right)
            | Kind::Or(left, right)
            | Kind::Pick { left, right, .. }
            | Kind::NaturalJoin { left, right, .. } => vec![left, right],
            Kind::IfError { value: first, otherwise: second }
            | Kind::RankEq { value: first, column: second, .. }
            | Kind::Path { id: first, parent: second, .. }
            | Kind::Filter { table: first, condition: second }
            | Kind::Generate { outer: first, inner: second, .. }
            | Kind::MissingItems { table: first, combinations: second, .. }
            | Kind::NonBlank { table: first, expression: second, .. } => vec![first, second],
            Kind::Scalar { arguments: all, .. }
            | Kind::Coalesce(all)
            | Kind::NetworkDays(all)
            | Kind::CrossJoin(all)
            | Kind::Set(_, all)
            | Kind::Calendar(all)
            | Kind::GenerateSeries(all) => all.iter().collect(),
            Kind::Rows(rows) => rows.iter().flatten().collect(),
            Kind::If { condition, then, otherwise } => {
                [condition, then].into_iter().chain(otherwise).map(AsRef::as_ref).collect()
            }
            Kind::Switch { value, cases, otherwise } => {
                let cases = cases.iter().flat_map(|(case, result)| [case, result]);
                one(value).chain(cases).chain(otherwise.as_deref()).collect()
            }
            Kind::Iterate { table, body, extra, order_by, .. } => {
                one(table).chain(one(body)).chain(extra).chain(keys(order_by)).collect()
            }
            Kind::SingleValue { table, otherwise, .. } => {
                one(table).chain(otherwise.as_deref()).collect()
            }
            Kind::In { left, right } => left.iter().chain(one(right)).collect(),
            Kind::Contains { table, pairs } => {
                one(table).chain(pairs.iter().map(|(_, v)| v)).collect()
            }
            Kind::LookupValue { table, pairs, otherwise, .. } => {
                let sought = pairs.iter().map(|(_, v)| v);
                one(table).chain(sought).chain(otherwise.as_deref()).collect()
            }
            Kind::RankX { table, expression, value, .. } => {
                one(table).chain(one(expression)).chain(value.as_deref()).collect()
            }
            Kind::Calculate { body, filters, .. } | Kind::CalculateTable { body, filters } => {
                tables(filters).chain(one(body)).collect()
            }
            Kind::WindowRank(window) | Kind::Window(window) => of_window(window),
            Kind::Let { bindings, result } => {
                bindings.iter().map(|(_, n)| n.as_ref()).chain(one(result)).collect()
            }
            Kind::ToText { table, form, limit } => match form {
                TextForm::Csv { delimiter, header } => vec![table, delimiter, header, limit],
                TextForm::Json => vec![table, limit],
            },
            Kind::Extend { table, columns, .. } => one(table).chain(named(columns)).collect(),
            Kind::TopN { count, skip, table, order_by } => {
                one(table).chain(one(count)).chain(skip.as_deref()).chain(keys(order_by)).collect()
            }
            Kind::Sample { count, table, order_by } => {
                one(table).chain(one(count)).chain(keys(order_by)).collect()
            }
            Kind::Summarize { table, groups, rollup, columns } => {
                let filters = of_rollup(rollup);
                one(table).chain(groups).chain(filters).chain(named(columns)).collect()
            }
            Kind::GroupBy { table, groups, columns } => {
                one(table).chain(groups).chain(named(columns)).collect()
            }
            Kind::SummarizeColumns { filters, rollup, columns, .. } => {
                let filters = group_filters(filters.iter());
                filters.chain(of_rollup(rollup)).chain(named(columns)).collect()
            }
            Kind::Dates { dates, arguments, .. } => one(dates).chain(arguments).collect(),
            Kind::SubstituteWithIndex { table, index, order_by, .. } => {
                one(table).chain(one(index)).chain(keys(order_by)).collect()
            }
            Kind::FitLine { table, values, .. } => one(table).chain(values).collect(),
            Kind::SampleAxis { count, table, axis, measures } => {
                one(table).chain(one(count)).chain(one(axis)).chain(measures).collect()
            }
        }
    }
}

fn one(node: &Node) -> impl Iterator<Item = &Node> {
    std::iter::once(node)
}

fn named(columns: &[NamedNode]) -> impl Iterator<Item = &Node> {
    columns.iter().map(|c| &c.node)
}

fn keys(order_by: &[SortKey]) -> impl Iterator<Item = &Node> {
    order_by.iter().map(|k| &k.expression)
}

fn tables(filters: &[FilterArgument]) -> impl Iterator<Item = &Node> {
    filters.iter().filter_map(FilterArgument::table)
}

fn group_filters<'n>(
    filters: impl Iterator<Item = &'n GroupFilter>,
) -> impl Iterator<Item = &'n Node> {
    filters.filter_map(|f| f.filter.table())
}

fn of_rollup(rollup: &Rollup) -> impl Iterator<Item = &Node> {
    rollup.chains.iter().flat_map(|chain| {
        let of_levels = chain.levels.iter().flat_map(|level| &level.filters);
        group_filters(chain.total_filters.iter().chain(of_levels))
    })
}

fn of_window(window: &WindowNode) -> Vec<&Node> {
    let ends = one(&window.from.position).chain(window.to.as_ref().map(|to| to.position.as_ref()));
    let visible = window.visible.iter().map(|(_, values)| values);
    let order = window.order_by.iter().map(|k| &k.node);
    one(&window.relation).chain(visible).chain(order).chain(ends).collect()
}
