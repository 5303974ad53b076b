//! Calls of functions: found in the registry, counted, handed to those who know the family.

use evercube_base::{DataType, Error, Result, Value};
use evercube_dax::ast::{BinaryOperator, Expr, ExprKind, Span};

use super::names::nearest;
use super::{Binder, Scope, common_type, literal, shared_type};
use crate::functions::{self, FunctionDef, FunctionKind, ReturnType, ScalarFunction, math};
use crate::plan::{Kind, Node, Type, Uses};

/// Scalar functions whose arguments at these positions are bare words, such as `MONTH`.
const WORDS: [(&str, usize); 4] =
    [("DATEDIFF", 2), ("CONVERT", 1), ("PATHITEM", 2), ("PATHITEMREVERSE", 2)];

impl Binder<'_> {
    pub(super) fn call(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        if let Some(node) = self.user_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        let def = functions::lookup(name).ok_or_else(|| {
            let known = functions::all().iter().filter(|f| f.is_evaluated()).map(|f| f.name);
            let known = known.chain(self.model.functions().map(|f| f.name.as_str()));
            let near = nearest(name, known);
            Error::invalid(format!(
                "Failed to resolve the name '{name}'. It is not a valid function name.{near}"
            ))
        })?;
        if let FunctionKind::Refused(why) = def.kind {
            return Err(Error::unsupported(format!("{name} is not evaluated here: {why}.")));
        }
        check_count(def, arguments.len())?;
        self.as_arguments_of(def.name, |b| b.known_call(scope, def, arguments, span))
    }

    fn known_call(
        &mut self,
        scope: &Scope,
        def: &FunctionDef,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let name = def.name;
        if let FunctionKind::Scalar(function) = def.kind {
            return self.scalar_call(scope, def, function, arguments, span);
        }
        if let Some(node) = self.logical(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.aggregate_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.context_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.lookup_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.table_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.grouping_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.date_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.window_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.regression_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.object_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        if let Some(node) = self.info_call(scope, name, arguments, span)? {
            return Ok(node);
        }
        Err(Error::unsupported(format!(
            "{name} is a known function that this version does not evaluate here."
        )))
    }

    fn scalar_call(
        &mut self,
        scope: &Scope,
        def: &FunctionDef,
        function: ScalarFunction,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Node> {
        let in_triples = matches!(def.name, "ISAFTER" | "ISONORAFTER");
        let ordered = if in_triples { ordered_pairs(def, arguments)? } else { Vec::new() };
        let arguments = if in_triples { &ordered } else { arguments };
        let mut bound = Vec::with_capacity(arguments.len());
        for (i, a) in arguments.iter().enumerate() {
            bound.push(match &a.kind {
                ExprKind::Name { name, quoted: false } if in_triples && i % 3 == 2 => {
                    literal(Value::from(&**name), a.span)
                }
                ExprKind::Name { name, quoted: false } if WORDS.contains(&(def.name, i)) => {
                    literal(Value::from(&**name), a.span)
                }
                _ => self.scalar(scope, a)?,
            });
        }
        let uses = all_uses(&bound);
        let uses = Uses { volatile: uses.volatile || def.volatile, ..uses };
        let data_type = match def.return_type {
            // The alternate may be anything.
            ReturnType::Fixed(t) if def.name == "DIVIDE" => match bound.get(2) {
                Some(n) if !n.is_blank_literal() && !n.data_type().is_numeric() => {
                    DataType::Variant
                }
                _ => t,
            },
            ReturnType::Fixed(t) => t,
            ReturnType::SameAsArgument(i) => {
                match bound.get(i).map_or(DataType::Variant, Node::data_type) {
                    DataType::Boolean => DataType::Int64,
                    DataType::String | DataType::DateTime => DataType::Double,
                    number => number,
                }
            }
            // A double holds whatever number a value of unknown type turns out to be.
            ReturnType::Numeric => {
                let of = |n: &Node| n.data_type();
                let numeric = |t: DataType| if t.is_numeric() { t } else { DataType::Double };
                let given = bound.iter().filter(|n| !n.is_blank_literal());
                given.map(of).map(numeric).reduce(common_type).unwrap_or(DataType::Double)
            }
            ReturnType::Table | ReturnType::Variant => converted_type(def.name, &bound),
        };
        let kind = Kind::Scalar { name: def.name, function, arguments: bound };
        Ok(Self::node(kind, Type::Scalar(data_type), uses, span))
    }

    /// A value in another type, blank as blank.
    pub(super) fn converted(node: Node, target: DataType) -> Result<Node> {
        let word = match target {
            DataType::Int64 => "INTEGER",
            DataType::Decimal => "CURRENCY",
            DataType::String => "STRING",
            DataType::Boolean => "BOOLEAN",
            DataType::DateTime => "DATETIME",
            _ => "DOUBLE",
        };
        let Some(FunctionKind::Scalar(function)) = functions::lookup("CONVERT").map(|d| d.kind)
        else {
            return Err(Error::internal("CONVERT is no scalar function"));
        };
        let (uses, span) = (node.uses, node.span);
        let arguments = vec![node, literal(Value::from(word), span)];
        let kind = Kind::Scalar { name: "CONVERT", function, arguments };
        Ok(Self::node(kind, Type::Scalar(target), uses, span))
    }

    /// Functions that choose what to evaluate.
    fn logical(
        &mut self,
        scope: &Scope,
        name: &str,
        arguments: &[Expr],
        span: Span,
    ) -> Result<Option<Node>> {
        Ok(Some(match name {
            "BLANK" => literal(Value::Blank, span),
            "IF" | "IF.EAGER" => self.choice(scope, arguments, span)?,
            "SWITCH" => self.switch(scope, arguments, span)?,
            "COALESCE" => {
                let bound = self.scalars_of(scope, arguments)?;
                let (ty, uses) = (Type::Scalar(shared_type(&bound)), all_uses(&bound));
                Self::node(Kind::Coalesce(bound), ty, uses, span)
            }
            "IFERROR" => {
                let [value, otherwise] = self.two(scope, arguments)?;
                let ty = Type::Scalar(shared_type([&value, &otherwise]));
                let uses = value.uses.and(otherwise.uses);
                let kind = Kind::IfError { value: Box::new(value), otherwise: Box::new(otherwise) };
                Self::node(kind, ty, uses, span)
            }
            "ISERROR" => {
                let value = self.scalar(scope, &arguments[0])?;
                let uses = value.uses;
                Self::node(Kind::IsError(Box::new(value)), BOOLEAN, uses, span)
            }
            "MIN" | "MAX" if arguments.len() == 2 => {
                let [left, right] = self.two(scope, arguments)?;
                if [&left, &right].iter().any(|n| n.data_type() == DataType::Boolean) {
                    return Err(no_booleans(name));
                }
                let ty = Type::Scalar(shared_type([&left, &right]));
                let uses = left.uses.and(right.uses);
                let (left, right) = (Box::new(left), Box::new(right));
                let larger = name == "MAX";
                Self::node(Kind::Pick { larger, left, right }, ty, uses, span)
            }
            "EVALUATEANDLOG" => self.any(scope, &arguments[0])?,
            _ => return Ok(None),
        }))
    }

    pub(super) fn scalars_of(&mut self, scope: &Scope, arguments: &[Expr]) -> Result<Vec<Node>> {
        arguments.iter().map(|a| self.scalar(scope, a)).collect()
    }

    pub(super) fn two(&mut self, scope: &Scope, arguments: &[Expr]) -> Result<[Node; 2]> {
        let [a, b] = arguments else {
            return Err(Error::invalid("Two arguments are expected here."));
        };
        Ok([self.scalar(scope, a)?, self.scalar(scope, b)?])
    }

    fn choice(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let condition = self.scalar(scope, &arguments[0])?;
        let then = self.scalar(scope, &arguments[1])?;
        let otherwise = arguments.get(2).map(|e| self.scalar(scope, e)).transpose()?;
        let mut uses = condition.uses.and(then.uses);
        if let Some(o) = &otherwise {
            uses = uses.and(o.uses);
        }
        let data_type = shared_type([&then].into_iter().chain(&otherwise));
        let kind = Kind::If {
            condition: Box::new(condition),
            then: Box::new(then),
            otherwise: otherwise.map(Box::new),
        };
        Ok(Self::node(kind, Type::Scalar(data_type), uses, span))
    }

    fn switch(&mut self, scope: &Scope, arguments: &[Expr], span: Span) -> Result<Node> {
        let value = self.scalar(scope, &arguments[0])?;
        let rest = &arguments[1..];
        if rest.len() < 2 {
            return Err(Error::invalid("SWITCH needs at least one value with its result."));
        }
        let mut uses = value.uses;
        let mut cases = Vec::new();
        let mut pairs = rest.chunks_exact(2);
        for pair in &mut pairs {
            let [case, result] = self.two(scope, pair)?;
            self.check_compared_with(&value, &case)?;
            uses = uses.and(case.uses).and(result.uses);
            cases.push((case, result));
        }
        let otherwise = match pairs.remainder() {
            [e] => Some(self.scalar(scope, e)?),
            _ => None,
        };
        if let Some(o) = &otherwise {
            uses = uses.and(o.uses);
        }
        let ty = Type::Scalar(shared_type(cases.iter().map(|(_, r)| r).chain(&otherwise)));
        let otherwise = otherwise.map(Box::new);
        Ok(Self::node(Kind::Switch { value: Box::new(value), cases, otherwise }, ty, uses, span))
    }

    pub(super) fn binary(left: Node, operator: BinaryOperator, right: Node, span: Span) -> Node {
        let uses = left.uses.and(right.uses);
        let kind = Kind::Binary { operator, left: Box::new(left), right: Box::new(right) };
        Self::node(kind, BOOLEAN, uses, span)
    }
}

pub(super) const BOOLEAN: Type = Type::Scalar(DataType::Boolean);
pub(super) const WHOLE: Type = Type::Scalar(DataType::Int64);

pub(super) fn all_uses<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> Uses {
    nodes.into_iter().fold(Uses::default(), |u, n| u.and(n.uses))
}

pub(super) fn no_booleans(function: &str) -> Error {
    Error::invalid(format!("The function {function} cannot work with values of type Boolean."))
}

/// The type that `CONVERT` or `PATHITEM` names.
fn converted_type(name: &str, arguments: &[Node]) -> DataType {
    if let ("CEILING" | "ISO.CEILING", [number, rest @ ..]) = (name, arguments) {
        let multiple = rest.first().filter(|n| !n.is_blank_literal());
        return math::type_of_multiple(number.data_type(), multiple.map(Node::data_type));
    }
    let at = if name == "CONVERT" { 1 } else { 2 };
    match (name, arguments.get(at).map(|n| &n.kind)) {
        ("CONVERT", Some(Kind::Literal(Value::String(s)))) => {
            type_named(&s.to_ascii_uppercase()).unwrap_or(DataType::Variant)
        }
        ("PATHITEM" | "PATHITEMREVERSE", None | Some(Kind::Literal(Value::Int(0)))) => {
            DataType::String
        }
        _ => DataType::Variant,
    }
}

/// The data type of a keyword of `CONVERT` and `DATATABLE`, in upper case.
pub(super) fn type_named(word: &str) -> Option<DataType> {
    Some(match word {
        "INTEGER" | "INT64" => DataType::Int64,
        "DOUBLE" => DataType::Double,
        "STRING" => DataType::String,
        "BOOLEAN" => DataType::Boolean,
        "CURRENCY" | "DECIMAL" => DataType::Decimal,
        "DATETIME" => DataType::DateTime,
        _ => return None,
    })
}

/// The arguments of `ISAFTER`, two values and their order each time, `ASC` where it is left out.
fn ordered_pairs(def: &FunctionDef, arguments: &[Expr]) -> Result<Vec<Expr>> {
    let word = |e: &Expr| match &e.kind {
        ExprKind::Name { name, quoted: false } => {
            ["ASC", "DESC"].iter().any(|w| name.eq_ignore_ascii_case(w))
        }
        _ => false,
    };
    let all_given = arguments.len().is_multiple_of(3);
    let is_order = |e: &Expr| {
        let constant = matches!(e.kind, ExprKind::Literal(_) | ExprKind::Call { .. });
        word(e) || matches!(e.kind, ExprKind::Omitted) || (all_given && constant)
    };
    let (mut out, mut rest) = (Vec::new(), arguments);
    while let [left, right, after @ ..] = rest {
        out.extend([left.clone(), right.clone()]);
        let given = after.first().filter(|e| is_order(e));
        rest = if given.is_some() { &after[1..] } else { after };
        let kind = ExprKind::Name { name: "ASC".into(), quoted: false };
        out.push(given.cloned().unwrap_or(Expr { kind, span: right.span }));
    }
    if !rest.is_empty() {
        return Err(Error::invalid(format!(
            "The values of {} come in pairs, each with its order after it where it has one.",
            def.name
        )));
    }
    Ok(out)
}

/// Refuses a call with too few or too many arguments.
pub(super) fn check_count(def: &FunctionDef, given: usize) -> Result<()> {
    if def.accepts(given) {
        return Ok(());
    }
    Err(Error::invalid(format!("{}; its form is {}.", miscounted(def, given), def.form())))
}

/// What is wrong with the number of arguments of a call.
fn miscounted(def: &FunctionDef, given: usize) -> String {
    let (name, least) = (def.name, def.parameters.iter().filter(|p| !p.optional).count());
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    if given < least {
        let missing: Vec<&str> =
            def.parameters.iter().filter(|p| !p.optional).skip(given).map(|p| p.name).collect();
        let are = |n: usize| if n == 1 { ("was", "is") } else { ("were", "are") };
        return format!(
            "Too few arguments were passed to the {name} function: it needs at least {least}, {given} {} given, {} {} missing",
            are(given).0,
            missing.join(", "),
            are(missing.len()).1,
        );
    }
    let most = def.parameters.len();
    format!(
        "Too many arguments were passed to the {name} function: it takes at most {most} argument{}, {given} were given",
        plural(most)
    )
}
