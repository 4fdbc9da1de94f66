//! What is recorded of the arguments of calls.

/// What is recorded of the arguments of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditArguments {
    /// What they are called.
    #[default]
    Names,
    /// What they say as well, which may be anything that people entrust to a model.
    Values,
}
