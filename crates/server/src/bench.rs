//! What `evercube bench` measures: queries over the demonstration's data, on a server of its own.

pub mod clients;
pub mod report;
pub mod server;

/// Name and text of each query: what pages of a report ask.
pub const QUERIES: [(&str, &str); 10] = [
    ("one number", "EVALUATE ROW(\"Revenue\", [Revenue])"),
    (
        "filtered number",
        "EVALUATE ROW(\"x\", CALCULATE([Revenue], Store[Country] = \"Norway\", 'Date'[Year] = 2023))",
    ),
    (
        "by month",
        "EVALUATE SUMMARIZECOLUMNS('Date'[Year], 'Date'[Month Number], \"Revenue\", [Revenue])",
    ),
    (
        "three dimensions, filtered",
        "EVALUATE SUMMARIZECOLUMNS('Date'[Year], Store[City], Product[Brand], TREATAS({\"Skiing\"}, Product[Category]), \"Revenue\", [Revenue], \"Cost\", [Cost])",
    ),
    (
        "year over year",
        "EVALUATE SUMMARIZECOLUMNS('Date'[Year], Store[Country], \"Revenue\", [Revenue], \"Growth\", [Growth %])",
    ),
    (
        "share of total",
        "EVALUATE SUMMARIZECOLUMNS(Store[Country], \"Share\", [Share of All Stores])",
    ),
    (
        "distinct count with totals",
        "EVALUATE SUMMARIZECOLUMNS(ROLLUPADDISSUBTOTAL('Date'[Year], \"t\"), \"Customers\", [Customers])",
    ),
    (
        "best customers",
        "EVALUATE TOPN(10, SUMMARIZECOLUMNS(Customer[Customer], \"Revenue\", [Revenue]), [Revenue])",
    ),
    (
        "row by row arithmetic",
        "EVALUATE SUMMARIZECOLUMNS(Product[Category], \"Margin\", [Margin %])",
    ),
    (
        "wide result",
        "EVALUATE SUMMARIZECOLUMNS(Store[Store], Product[Product], \"Revenue\", [Revenue])",
    ),
];
