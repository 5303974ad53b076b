//! Parameters of a request: those given are those that the query names.

use evercube_base::{Error, Result, Value};
use evercube_dax::ast::{Expr, ExprKind, Query};

/// Refuses parameters that the query does not name: a value that changes nothing was meant for
/// something.
pub(crate) fn check_parameters(query: &Query, given: &[(String, Value)]) -> Result<()> {
    if given.is_empty() {
        return Ok(());
    }
    let is_named = |name: &str| query.expressions().any(|e| names(e, name));
    match given.iter().find(|(name, _)| !is_named(name)) {
        Some((name, _)) => Err(Error::invalid(format!(
            "The request gives a value for the parameter {name}, which the query does not name. Write @{name} where the value belongs, or leave the parameter out."
        ))),
        None => Ok(()),
    }
}

fn names(e: &Expr, name: &str) -> bool {
    matches!(&e.kind, ExprKind::Parameter(n) if n.eq_ignore_ascii_case(name))
        || e.parts().into_iter().any(|part| names(part, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_named() {
        let check = |text: &str, given: &[&str]| {
            let given: Vec<_> = given.iter().map(|n| ((*n).to_owned(), Value::Blank)).collect();
            check_parameters(&evercube_dax::parse_query(text).into_result().unwrap(), &given)
        };
        let text = "DEFINE VAR v = @a MEASURE T[m] = @b FUNCTION f = (x = @c) => x + @d \
                    EVALUATE FILTER(T, T[x] IN { @e }) ORDER BY T[x] + @f START AT @g";
        assert_eq!(check(text, &["a", "B", "c", "d", "e", "f", "g"]), Ok(()));
        assert_eq!(check(text, &[]), Ok(()));
        let refused = check(text, &["a", "other"]).unwrap_err();
        assert!(refused.message.contains("the parameter other, which the query does not name"));
    }
}
