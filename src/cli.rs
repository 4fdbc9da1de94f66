//! The command line: what was typed, and what is printed.

use std::{
    collections::HashMap,
    env,
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    Rehearsal, Server, ServerBuilder,
    admin::{self, GrantEntry},
    clock::Timestamp,
    config::{self, AdminListener, Config, ConfigErrors, Database, Setting},
    people, state, telemetry,
};

/// Bad arguments or a bad configuration.
const USAGE: u8 = 2;

/// The whole command line. Every setting that has a flag is one, on every command.
pub fn command() -> Command {
    let tunnel = Arg::new("tunnel")
        .long("tunnel")
        .action(ArgAction::SetTrue)
        .help("Start cloudflared and use the public URL that it prints");
    let flags = config::settings().filter_map(flag);
    Command::new("remote-mcp-auth")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An OAuth 2.1 authorization server and the MCP endpoint it protects")
        .arg(tunnel.clone())
        .args(flags)
        .subcommand(
            Command::new("serve")
                .about("Run the server (the default)")
                .arg(tunnel)
                .arg(
                    Arg::new("command")
                        .value_name("COMMAND")
                        .num_args(1..)
                        .last(true)
                        .help("An MCP server to run and to put behind this one (stdio)"),
                ),
        )
        .subcommand(
            Command::new("check")
                .about("Read the whole configuration, say what is wrong with it and which tools it makes, start nothing"),
        )
        .subcommand(
            Command::new("grants")
                .about("List what people have allowed, on the running server")
                .subcommand(
                    Command::new("revoke")
                        .about("End a grant and everything under it")
                        .arg(
                            Arg::new("id")
                                .value_name("ID")
                                .required(true)
                                .help("The grant's id"),
                        ),
                ),
        )
        .subcommand(
            Command::new("import")
                .about("Bring the state of another database into the configured, empty one")
                .arg(
                    Arg::new("from")
                        .value_name("URL")
                        .required(true)
                        .value_parser(Database::parse)
                        .help("What DATABASE_URL was so far; no server may be using either"),
                ),
        )
        .subcommand(
            Command::new("keys")
                .about("Look after the keys of the running server itself")
                .subcommand_required(true)
                .subcommand(Command::new("replace").about(
                    "Make new ones; what the old ones have sealed stays good until it expires",
                )),
        )
        .subcommand(people::command())
}

fn flag(setting: &'static Setting) -> Option<Arg> {
    let (flag, env) = (setting.flag?, setting.env?);
    let help = format!(
        "{} [env: {env}] [default: {}]",
        setting.help, setting.default_in_words
    );
    let arg = Arg::new(setting.key)
        .long(flag)
        .value_name("VALUE")
        .help(help);
    Some(arg.global(true))
}

/// Does what was typed.
pub fn run() -> ExitCode {
    run_with(|builder| builder)
}

/// The same for a program with features of its own: `offer` adds them to the server.
///
/// ```no_run
/// # use remote_mcp_auth::mcp::feature::BestPersonLookerUpper as MyTool;
/// use std::{process::ExitCode, sync::Arc};
///
/// fn main() -> ExitCode {
///     remote_mcp_auth::cli::run_with(|builder| builder.tool(Arc::new(MyTool)))
/// }
/// ```
pub fn run_with(offer: impl FnOnce(ServerBuilder) -> ServerBuilder) -> ExitCode {
    let matches = command().get_matches();
    let load = loader(&matches);
    let config = match load() {
        Ok(config) => config,
        Err(errors) => return fail(USAGE, &errors),
    };
    let done = match matches.subcommand() {
        Some(("check", _)) => {
            let rehearsal = async { Ok(offer(Server::builder(config)).rehearse().await?) };
            match block_on(rehearsal) {
                Ok(rehearsal) => {
                    // The exit code says it too: a reader who has gone changes nothing.
                    let _ = print_rehearsal(&rehearsal);
                    Ok(())
                }
                Err(error) => return fail(USAGE, error.as_ref()),
            }
        }
        Some(("grants", grants)) => block_on(show_or_revoke(&config, grants)),
        Some(("import", import)) => block_on(import_state(&config, import)),
        Some(("user", user)) => block_on(people::run(&config, user)),
        Some(("keys", _)) => block_on(replace_keys(&config)),
        other => {
            let serve = other.map_or(&matches, |(_, serve)| serve);
            let tunnel = serve.get_flag("tunnel") || matches.get_flag("tunnel");
            if tunnel && config.public_url.is_some() {
                let message = "--tunnel: the tunnel brings its own public URL; unset --public-url \
                               (PUBLIC_URL)";
                return fail(USAGE, &message);
            }
            // Lines are written by a thread of their own; the guard waits for the last of them.
            let logging = match telemetry::init(&config) {
                Ok(logging) => logging,
                Err(error) => return fail(1, error.as_ref()),
            };
            let builder = Server::builder(config).tunnel(tunnel).reloading(load);
            let served = block_on(serve_until_signalled(offer(builder)));
            drop(logging);
            served
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error.as_ref()),
    }
}

/// Reads the configuration with what was typed, as often as it is asked.
fn loader(matches: &ArgMatches) -> impl Fn() -> Result<Config, ConfigErrors> + use<> {
    let flags: HashMap<&'static str, String> = config::settings()
        .filter(|setting| setting.flag.is_some())
        .filter_map(|setting| Some((setting.key, typed(matches, setting.key)?)))
        .collect();
    let behind: Option<Vec<String>> = matches
        .subcommand_matches("serve")
        .and_then(|serve| serve.get_many("command"))
        .map(|command| command.cloned().collect());
    move || {
        let mut config = Config::load(&flags, &|name| env::var_os(name), Path::new("."))?;
        if let Some(command) = &behind {
            config.put_behind(command.clone())?;
        }
        Ok(config)
    }
}

/// A flag may stand before or behind the command.
fn typed(matches: &ArgMatches, key: &str) -> Option<String> {
    let here = matches.get_one::<String>(key).cloned();
    here.or_else(|| {
        let (_, inner) = matches.subcommand()?;
        typed(inner, key)
    })
}

fn fail(code: u8, error: &(impl std::fmt::Display + ?Sized)) -> ExitCode {
    // Nothing is left to be done if even standard error is gone.
    let _ = writeln!(io::stderr(), "{error}");
    ExitCode::from(code)
}

fn block_on<T>(
    work: impl Future<Output = Result<T, Box<dyn Error + Send + Sync>>>,
) -> Result<T, Box<dyn Error + Send + Sync>> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

async fn serve_until_signalled(builder: ServerBuilder) -> Result<(), Box<dyn Error + Send + Sync>> {
    // From here on a signal ends the program in order, even while it starts.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let signalled = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(signalled);
    let server = tokio::select! {
        () = &mut signalled => return Ok(()),
        bound = builder.bind() => bound?,
    };
    announce(&server)?;
    let shutdown = CancellationToken::new();
    let serving = server.run(shutdown.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut signalled => shutdown.cancel(),
        ended = &mut serving => return Ok(ended?),
    }
    Ok(serving.await?)
}

/// Says where the server is, each on a line of its own, for people and scripts.
fn announce(server: &Server) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on http://{}", server.public_addr())?;
    writeln!(out, "connector URL: {}", server.connector_url())?;
    if let Some(passcode) = server.generated_passcode() {
        writeln!(out, "sign-in passcode: {passcode}")?;
    }
    out.flush()
}

async fn show_or_revoke(
    config: &Config,
    matches: &ArgMatches,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let admin = admin_address(config)?;
    let Some(("revoke", revoke)) = matches.subcommand() else {
        let grants = admin::client::grants(admin).await?;
        return Ok(print_grants(&grants)?);
    };
    let id = revoke.get_one::<String>("id").cloned().unwrap_or_default();
    if admin::client::revoke(admin, &id).await? {
        return Ok(writeln!(io::stdout(), "revoked {id}")?);
    }
    Err(format!("there is no grant {id}").into())
}

async fn import_state(
    config: &Config,
    matches: &ArgMatches,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let from = matches.get_one::<Database>("from").cloned();
    let taken = state::take_over(config, &from.unwrap_or_default()).await?;
    Ok(writeln!(
        io::stdout(),
        "{taken} entries are in {} now",
        config.database
    )?)
}

async fn replace_keys(config: &Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    admin::client::replace_keys(admin_address(config)?).await?;
    Ok(writeln!(io::stdout(), "the keys are replaced")?)
}

fn admin_address(config: &Config) -> Result<SocketAddr, Box<dyn Error + Send + Sync>> {
    match config.admin {
        AdminListener::Default(address) | AdminListener::Chosen(address) => Ok(address),
        AdminListener::Off => Err(
            "the admin listener is off (--admin-listen, ADMIN_ADDR): the running server cannot be \
             asked"
                .into(),
        ),
    }
}

/// What clients would be told, and how much of a model's attention that takes.
fn print_rehearsal(rehearsal: &Rehearsal) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "the configuration is valid")?;
    let width = rehearsal.tools.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default().max("total".len());
    let mut total = 0;
    for (name, words) in &rehearsal.tools {
        let tokens = Rehearsal::tokens(words);
        total += tokens;
        writeln!(out, "{name:width$}  about {tokens} tokens")?;
    }
    let count = rehearsal.tools.len();
    let tools = if count == 1 { "tool" } else { "tools" };
    writeln!(
        out,
        "{:width$}  about {total} tokens in {count} {tools}",
        "total"
    )?;
    for left_out in &rehearsal.left_out {
        writeln!(out, "not offered: {left_out}")?;
    }
    out.flush()
}

fn print_grants(grants: &[GrantEntry]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if grants.is_empty() {
        return writeln!(out, "nobody has allowed anything");
    }
    for grant in grants {
        writeln!(out, "{}", grant.id)?;
        writeln!(
            out,
            "  {} allowed {} ({}): {}",
            grant.user, grant.client_name, grant.client_id, grant.scope
        )?;
        writeln!(
            out,
            "  since {}, last used {}",
            date(grant.created_at),
            date(grant.last_used_at)
        )?;
    }
    out.flush()
}

fn date(seconds: u64) -> String {
    Timestamp::from_millis(seconds.saturating_mul(1000)).to_rfc3339()
}
