//! What the operator is there for.

mod deletion;
mod faults;
mod smallest;
mod upgrade;
