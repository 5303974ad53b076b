use super::*;

fn date(text: &str) -> Value {
    Value::DateTime(DateTime::parse_iso(text).unwrap())
}

#[test]
fn numbers_by_picture() {
    for (v, picture, expected) in [
        (12345.67, "General Number", "12345.67"),
        (12345.67, "Currency", "$12,345.67"),
        (-12345.67, "Currency", "($12,345.67)"),
        (12345.67, "Fixed", "12345.67"),
        (12345.67, "Standard", "12,345.67"),
        (0.1234, "Percent", "12.34%"),
        (12345.67, "Scientific", "1.23E+04"),
        (1234567.0, "#,0", "1,234,567"),
        (0.0, "#,0", "0"),
        (0.0, "#", ""),
        (0.5, "#.##", ".5"),
        (0.125, "0.00", "0.13"),
        (1.005, "0.00", "1.01"),
        (-0.001, "0.00", "0.00"),
        (-5.0, "0;(0);\"zero\"", "(5)"),
        (0.0, "0;(0);\"zero\"", "zero"),
        (-5.0, "0.0", "-5.0"),
        (1234567.0, "0.0,,", "1.2"),
        (1234567.0, "#,##0,K", "1,235K"),
        (0.256, "0%", "26%"),
        (5551234.0, "000-0000", "555-1234"),
        (42.0, "00000", "00042"),
        (42.0, "\\#0", "#42"),
        (1e15, "#,##0", "1,000,000,000,000,000"),
        (99.99, "0.0", "100.0"),
        (9.99e9, "0.0E+0", "1.0E+10"),
        (12.0, "0.00 \"kg\"", "12.00 kg"),
        (1234.5, "\\$#,0.00;(\\$#,0.00);\\$#,0.00", "$1,234.50"),
        (1.0, "Yes/No", "Yes"),
        (0.0, "On/Off", "Off"),
        (0.0, "True/False", "False"),
        (45351.5, "yyyy-mm-dd hh:nn", "2024-02-29 12:00"),
    ] {
        assert_eq!(format(&Value::Double(v), picture, "en-US"), expected, "{v} {picture}");
    }
    assert_eq!(format(&Value::Double(-1234.5), "#,0.00", "de-DE"), "-1.234,50");
    assert_eq!(format(&Value::Int(1234), "Currency", "de-DE"), "1.234,00 €");
    assert_eq!(format(&Value::Int(i64::MAX), "0", "en-US"), "9223372036854775807");
    assert_eq!(format(&Value::Blank, "0", "en-US"), "");
    assert_eq!(format(&Value::from("abc"), "0", "en-US"), "abc");
    assert_eq!(format(&Value::Boolean(true), "", "en-US"), "True");
}

#[test]
fn dates_by_picture() {
    let v = date("2024-02-05T15:04:09");
    for (picture, expected) in [
        ("General Date", "2/5/2024 3:04:09 PM"),
        ("Long Date", "Monday, February 5, 2024"),
        ("Medium Date", "Monday, February 5, 2024"),
        ("Short Date", "2/5/2024"),
        ("Long Time", "3:04:09 PM"),
        ("Medium Time", "03:04 PM"),
        ("Short Time", "15:04"),
        ("yyyy-mm-dd", "2024-02-05"),
        ("MM/dd/yyyy HH:mm:ss", "02/05/2024 15:04:09"),
        ("mmm yy", "Feb 24"),
        ("mmmm", "February"),
        ("dddd", "Monday"),
        ("ddd", "Mon"),
        ("h:mm tt", "3:04 PM"),
        ("hh:nn a/p", "03:04 p"),
        ("q", "1"),
        ("\\Qq yyyy", "Q1 2024"),
        ("w", "2"),
        ("ww", "6"),
        ("y", "36"),
        ("yyyy\"-W\"ww", "2024-W6"),
        ("c", "2/5/2024 3:04:09 PM"),
    ] {
        assert_eq!(format(&v, picture, "en-US"), expected, "{picture}");
    }
    assert_eq!(format(&v, "Long Date", "de-DE"), "Montag, 5. Februar 2024");
    assert_eq!(format(&v, "Short Date", "de-DE"), "05.02.2024");
    assert_eq!(format(&v, "mmmm", "fr-FR"), "février");
    let day = Value::DateTime(DateTime::parse_iso("2024-01-31").unwrap());
    assert_eq!(general(&day, Locale::UNITED_STATES), "1/31/2024");
    assert_eq!(Locale::named("da-DK").currency_symbol(), "kr.");
    assert_eq!(Locale::named("de-DE").currency_symbol(), "€");
}

#[test]
fn general_numbers_have_fifteen_digits() {
    for (v, expected) in [
        (0.1 + 0.2, "0.3"),
        (1.0 / 3.0, "0.333333333333333"),
        (1e21, "1E+21"),
        (-1.5e-7, "-1.5E-07"),
        (100.0, "100"),
        (0.0001, "0.0001"),
    ] {
        assert_eq!(general_number(v), expected);
    }
}
