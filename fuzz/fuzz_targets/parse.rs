//! Lexer and parser: no text panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = evercube_dax::parse_query(text);
    let _ = evercube_dax::parse_expression(text);
});
