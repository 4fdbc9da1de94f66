//! The real binary: start, settings, commands, logs, the tunnel, and the end.

mod audit;
mod commands;
mod limits;
mod logs;
mod reload;
mod settings;
mod shutdown;
mod start;
mod tunnel;
