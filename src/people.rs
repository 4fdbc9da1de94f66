//! `remote-mcp-auth user`: who may sign in with a name and a password. The commands work on the
//! database itself, whether or not a server runs on it.

use std::{
    error::Error,
    io::{self, BufRead as _, IsTerminal as _, Write as _, stdin},
    sync::Arc,
};

use clap::{Arg, ArgMatches, Command};

use crate::{
    admin,
    clock::{Clock as _, SystemClock},
    config::{AdminListener, Config, Database},
    identity::password,
    model::user::{NamedUser, UserName},
    secret::{Password, PasswordHash},
    state::open_store,
    store::Store,
};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// The command and its commands.
pub(crate) fn command() -> Command {
    let name = || {
        Arg::new("name")
            .value_name("NAME")
            .required(true)
            .help("What they sign in as, such as ada or ada@example.com")
    };
    Command::new("user")
        .about("Say who may sign in with a name and a password; works on DATABASE_URL")
        .subcommand_required(true)
        .subcommand(
            Command::new("add")
                .about("Add a user; the password is asked for, or read from standard input")
                .arg(name()),
        )
        .subcommand(Command::new("list").about("List the users"))
        .subcommand(
            Command::new("remove")
                .about("Remove a user, sign them out and end what they have allowed")
                .arg(name()),
        )
        .subcommand(
            Command::new("set-password")
                .about("Give a user another password and sign them out; their apps stay connected")
                .arg(name()),
        )
}

/// Does what was typed.
pub(crate) async fn run(config: &Config, matches: &ArgMatches) -> Outcome {
    if config.database == Database::Memory {
        return Err(
            "users are kept in a database only, and this server keeps everything in memory: set \
             --database-url (DATABASE_URL)"
                .into(),
        );
    }
    match matches.subcommand() {
        Some(("list", _)) => list(&*open_store(config).await?).await,
        Some((verb, arguments)) => {
            let typed = arguments.get_one::<String>("name");
            let name = UserName::parse(typed.map_or("", String::as_str))?;
            change(config, verb, name).await
        }
        None => Ok(()),
    }
}

async fn change(config: &Config, verb: &str, name: UserName) -> Outcome {
    if verb == "remove" {
        return remove(config, &name).await;
    }
    let store = open_store(config).await?;
    // Before anybody types a password in vain.
    let is_there = store.user(&name).await?.is_some();
    if verb == "add" {
        if is_there {
            return Err(already_there(&name));
        }
        return add(&store, name).await;
    }
    if !is_there {
        return Err(not_there(&name));
    }
    let password = new_password().await?;
    if !store.set_password(&name, password).await? {
        return Err(not_there(&name));
    }
    say(format_args!("{name} has another password"))
}

async fn add(store: &Arc<dyn Store>, name: UserName) -> Outcome {
    let user = NamedUser {
        name: name.clone(),
        password: new_password().await?,
        created_at: SystemClock.now(),
    };
    if !store.add_user(user).await? {
        return Err(already_there(&name));
    }
    say(format_args!("added {name}"))
}

async fn remove(config: &Config, name: &UserName) -> Outcome {
    let store = open_store(config).await?;
    if !store.remove_user(name).await? {
        return Err(not_there(name));
    }
    // Replicas on Postgres hear of it. A server on a file does not, and might let calls through for
    // some seconds more; if it can be asked, it looks again now.
    if let (Database::Sqlite(_), AdminListener::Default(admin) | AdminListener::Chosen(admin)) =
        (&config.database, config.admin)
    {
        let _ = admin::client::look_again(admin).await;
    }
    say(format_args!(
        "removed {name}; what they had allowed has ended"
    ))
}

async fn list(store: &dyn Store) -> Outcome {
    let users = store.users().await?;
    if users.is_empty() {
        return say(format_args!("there are no users"));
    }
    let mut out = io::stdout().lock();
    for user in users {
        let added = user.created_at.to_rfc3339();
        writeln!(out, "{}, added {added}", user.name)?;
    }
    Ok(out.flush()?)
}

fn already_there(name: &UserName) -> Box<dyn Error + Send + Sync> {
    format!("there is a user {name} already").into()
}

fn not_there(name: &UserName) -> Box<dyn Error + Send + Sync> {
    format!("there is no user {name}").into()
}

fn say(text: std::fmt::Arguments<'_>) -> Outcome {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Asks for a password, and hashes it. People take their time, and so does that.
async fn new_password() -> Result<PasswordHash, Box<dyn Error + Send + Sync>> {
    tokio::task::spawn_blocking(|| {
        let password = read_password()?;
        password::judge(&password)?;
        Ok(password::hash(&password))
    })
    .await?
}

/// From the terminal, twice and without showing it; from a pipe or a file, its first line.
fn read_password() -> Result<Password, Box<dyn Error + Send + Sync>> {
    if !stdin().is_terminal() {
        let mut line = String::new();
        stdin().lock().read_line(&mut line)?;
        let line = line.strip_suffix('\n').unwrap_or(&line);
        return Ok(Password::typed(line.strip_suffix('\r').unwrap_or(line)));
    }
    let fewest = password::SHORTEST;
    let typed = rpassword::prompt_password(format!("password ({fewest} characters at least): "))?;
    if rpassword::prompt_password("the same again: ")? != typed {
        return Err("these were two different passwords; nothing has changed".into());
    }
    Ok(Password::typed(&typed))
}
