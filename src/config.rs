//! skeleton
/// What is wrong with the configuration.
#[derive(Debug)]
pub struct ConfigError;
/// Validated configuration.
#[derive(Debug)]
pub struct Config;
impl Config {
    /// From settings by their TOML key (`public_url`, `limits.clients` …).
    pub fn from_settings<'a>(_s: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ConfigError> { Ok(Self) }
}
