//! Where state is kept: what `DATABASE_URL` means.

use std::{fmt, path::PathBuf, str::FromStr as _};

use sqlx::postgres::PgConnectOptions;

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Database {
    /// In memory, until the server stops.
    #[default]
    Memory,
    /// In a SQLite file.
    Sqlite(PathBuf),
    /// In Postgres.
    Postgres(PostgresUrl),
}

/// The URL of a Postgres database. There may be a password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    url: Box<str>,
    shown: Box<str>,
}

impl Database {
    /// Reads it as `DATABASE_URL` says it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path {
                "" => Err(
                    "has no path: write sqlite://state.db or sqlite:///var/lib/state.db".to_owned(),
                ),
                ":memory:" => Err("leave it unset to keep state in memory".to_owned()),
                _ if path.contains('?') => Err("takes no parameters after the path".to_owned()),
                _ => Ok(Self::Sqlite(path.into())),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(text).map_err(|_| {
                "is not a URL such as postgres://USER:PASSWORD@HOST:5432/DATABASE".to_owned()
            })?;
            let database = options.get_database().unwrap_or(options.get_username());
            let shown = format!("{}:{}/{database}", options.get_host(), options.get_port());
            return Ok(Self::Postgres(PostgresUrl {
                url: text.into(),
                shown: shown.into(),
            }));
        }
        Err("must begin with sqlite:// or postgres://".to_owned())
    }
}

/// For people, without the password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory, until the server stops"),
            Self::Sqlite(path) => write!(f, "SQLite, in {}", path.display()),
            Self::Postgres(url) => write!(f, "Postgres, at {}", url.shown),
        }
    }
}

impl PostgresUrl {
    /// The URL, password and all.
    pub fn expose(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_are_understood() {
        for (text, shown) in [
            ("sqlite://state.db", "SQLite, in state.db"),
            ("sqlite:///var/lib/state.db", "SQLite, in /var/lib/state.db"),
            (
                "postgres://app:secret@db.example:6543/state",
                "Postgres, at db.example:6543/state",
            ),
            (
                "postgresql://app@db.example?sslmode=require",
                "Postgres, at db.example:5432/app",
            ),
        ] {
            assert_eq!(Database::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_database_is_refused() {
        for text in [
            "state.db",
            "sqlite:state.db",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://state.db?mode=ro",
            "mysql://db.example/state",
            "postgres://db.example:port/state",
        ] {
            assert!(Database::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        let database = Database::parse("postgres://app:swordfish@db.example/state").unwrap();
        let shown = format!("{database} {database:?}");
        assert!(!shown.contains("swordfish"), "{shown}");
    }
}
