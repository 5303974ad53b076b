//! The mashup language: text → tokens → tree → values, evaluated lazily.

pub(crate) mod ast;
pub(crate) mod check;
pub(crate) mod eval;
pub(crate) mod lexer;
pub(crate) mod library;
pub(crate) mod parser;
pub(crate) mod print;
pub(crate) mod value;
