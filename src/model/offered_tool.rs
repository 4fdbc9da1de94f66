//! Tools as people are told of them, whoever they belong to.

/// What a tool does to the world, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It changes nothing.
    Reads,
    /// It adds and changes.
    Changes,
    /// It may destroy; or it does not say.
    Destroys,
}

/// A tool that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedTool {
    /// What clients call it.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it does to the world.
    pub effect: Effect,
}
