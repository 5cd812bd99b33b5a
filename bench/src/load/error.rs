//! Why a load could not be put on a shop.

/// A plan that can't be carried out, or a shop that can't be prepared for it. What happens later is in the report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan contradicts itself.
    #[error("{0}")]
    Plan(String),
    /// The shop did not do what the preparation needs.
    #[error("can't prepare the load: {what}: {answer}")]
    Preparation {
        /// What was wanted of it.
        what: String,
        /// What it said.
        answer: String,
    },
    /// The generator's own threads could not be had.
    #[error("can't start the load generator")]
    Start(#[source] std::io::Error),
    /// The generator's own thread is gone.
    #[error("the load generator ended by itself")]
    Gone,
}
