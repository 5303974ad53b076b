//! Random models and queries, the same for the same seed.

mod calendar;
mod chance;
mod define;
mod groups;
mod model;
mod query;
mod roles;
mod shapes;

pub use chance::Chance;
pub use model::{Model, random_model};
pub use query::random_query;
