use evercube_base::DateTime;

use super::*;

fn currency_of(t: &str) -> Value {
    Value::Decimal(Decimal::parse(t).unwrap())
}

fn date_of(t: &str) -> Value {
    Value::DateTime(DateTime::parse_iso(t).unwrap())
}

const US: &Culture = &Culture::UNITED_STATES;

#[test]
fn operators_follow_the_type_tables() {
    use BinaryOperator as Op;
    let (blank, c) = (Value::Blank, Collation::default());
    for (a, op, b, expected) in [
        (blank.clone(), Op::Add, Value::Int(1), Value::Int(1)),
        (blank.clone(), Op::Add, blank.clone(), blank.clone()),
        (blank.clone(), Op::Multiply, Value::Int(1), blank.clone()),
        (blank.clone(), Op::Divide, Value::Int(2), blank.clone()),
        (Value::Int(3), Op::Divide, blank.clone(), Value::Double(f64::INFINITY)),
        (Value::Int(1), Op::Divide, Value::Int(0), Value::Double(f64::INFINITY)),
        (Value::from("1"), Op::Add, Value::Int(1), Value::Int(2)),
        (Value::from("1.5"), Op::Multiply, Value::Int(2), Value::Double(3.0)),
        (Value::Boolean(true), Op::Add, Value::Int(1), Value::Int(2)),
        (Value::Int(5), Op::Divide, Value::Int(2), Value::Double(2.5)),
        (currency_of("1.5"), Op::Add, Value::Int(1), currency_of("2.5")),
        (currency_of("1.5"), Op::Add, Value::Double(1.0), Value::Double(2.5)),
        (currency_of("1.5"), Op::Multiply, Value::Int(3), currency_of("4.5")),
        (currency_of("1.5"), Op::Multiply, Value::Double(0.5), currency_of("0.75")),
        (currency_of("1.5"), Op::Multiply, currency_of("2"), Value::Double(3.0)),
        (currency_of("1"), Op::Divide, Value::Int(3), currency_of("0.3333")),
        (currency_of("1"), Op::Divide, currency_of("4"), Value::Double(0.25)),
        (date_of("2024-01-31"), Op::Add, Value::Int(1), date_of("2024-02-01")),
        (date_of("2024-01-31"), Op::Subtract, date_of("2024-01-30"), date_of("1899-12-31")),
        (Value::Int(1), Op::Concatenate, Value::Boolean(true), "1True".into()),
        (blank.clone(), Op::Equal, Value::Int(0), true.into()),
        (blank.clone(), Op::Equal, Value::from(""), true.into()),
        (blank.clone(), Op::StrictEqual, Value::Int(0), false.into()),
        (blank.clone(), Op::StrictEqual, blank.clone(), true.into()),
        (Value::from("A"), Op::Equal, Value::from("a"), true.into()),
        (Value::Int(1), Op::Less, currency_of("1.5"), true.into()),
        (Value::Int(2), Op::Power, Value::Int(3), Value::Double(8.0)),
        (Value::Boolean(true), Op::And, blank, false.into()),
    ] {
        assert_eq!(binary(op, &a, &b, &c, US), Ok(expected), "{a:?} {op:?} {b:?}");
    }
    assert!(
        matches!(binary(Op::Divide, &Value::Int(0), &Value::Int(0), &c, US), Ok(Value::Double(f)) if f.is_nan())
    );
    assert!(binary(Op::Add, &Value::Int(i64::MAX), &Value::Int(1), &c, US).is_err());
    assert!(binary(Op::Add, &Value::from("x"), &Value::Int(1), &c, US).is_err());
    let message = compare(&Value::from("1"), &Value::Int(1), &c).unwrap_err().message;
    assert_eq!(
        message,
        "DAX comparison operations do not support comparing values of type Text with values of type Integer. Consider using the VALUE or FORMAT function to convert one of the values."
    );
}

#[test]
fn conversions_and_sorting() {
    assert_eq!(convert(&Value::Double(2.5), DataType::Int64, US), Ok(Value::Int(3)));
    assert_eq!(convert(&Value::from("12%"), DataType::Double, US), Ok(Value::Double(0.12)));
    assert_eq!(convert(&Value::from("1.2345"), DataType::Decimal, US), Ok(currency_of("1.2345")));
    assert!(convert(&Value::Double(1e30), DataType::Int64, US).is_err());
    assert!(convert(&Value::from("maybe"), DataType::Boolean, US).is_err());
    assert_eq!(read_number("$1,234.5", US), Ok(Value::Double(1234.5)));
    assert_eq!(read_number("(3)", US), Ok(Value::Int(-3)));
    assert!(read_number("1-2", US).is_err());
    let mut v = vec![Value::from("b"), Value::Int(2), Value::Boolean(false), Value::Blank];
    v.sort_by(|a, b| total_order(a, b, &Collation::default()));
    assert_eq!(v, [Value::Blank, Value::Int(2), Value::from("b"), Value::Boolean(false)]);
    let mut v = [Value::Double(f64::NAN), Value::Int(1), Value::Double(0.5)];
    v.sort_by(|a, b| total_order(a, b, &Collation::default()));
    assert_eq!(v.get(1), Some(&Value::Double(0.5)));
}
