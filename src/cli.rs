//! The command line: what was typed, and what is printed.

use std::{
    collections::HashMap,
    env,
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    time::{Duration, UNIX_EPOCH},
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    Server, ServerBuilder,
    admin::{self, GrantEntry},
    config::{self, AdminListener, Config, ConfigErrors, Setting},
    people, telemetry,
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
                .arg(tunnel),
        )
        .subcommand(
            Command::new("check")
                .about("Read the whole configuration, say what is wrong with it, start nothing"),
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
    let config = match load(&matches) {
        Ok(config) => config,
        Err(errors) => return fail(USAGE, &errors),
    };
    match matches.subcommand() {
        Some(("check", _)) => {
            // The exit code says it too: a reader who has gone changes nothing.
            let _ = writeln!(io::stdout(), "the configuration is valid");
            ExitCode::SUCCESS
        }
        Some(("grants", grants)) => match block_on(show_or_revoke(&config, grants)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, error.as_ref()),
        },
        Some(("user", user)) => match block_on(people::run(&config, user)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, error.as_ref()),
        },
        Some(("keys", _)) => match block_on(replace_keys(&config)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, error.as_ref()),
        },
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
            let served = block_on(serve_until_signalled(config, tunnel, offer));
            drop(logging);
            match served {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(1, error.as_ref()),
            }
        }
    }
}

fn load(matches: &ArgMatches) -> Result<Config, ConfigErrors> {
    let flags: HashMap<&'static str, String> = config::settings()
        .filter(|setting| setting.flag.is_some())
        .filter_map(|setting| Some((setting.key, typed(matches, setting.key)?)))
        .collect();
    Config::load(&flags, &|name| env::var_os(name), Path::new("."))
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

async fn serve_until_signalled(
    config: Config,
    tunnel: bool,
    offer: impl FnOnce(ServerBuilder) -> ServerBuilder,
) -> Result<(), Box<dyn Error + Send + Sync>> {
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
    let builder = offer(Server::builder(config).tunnel(tunnel));
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

fn date(seconds: u64) -> impl std::fmt::Display {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds))
}
