//! Dates of periods.
