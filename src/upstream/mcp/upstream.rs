//! One MCP server behind this one: what is known of it, and how calls are passed on to it.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    call::{Driven, Failure, Running, failure},
    catalogue::Catalogue,
    connection::Lease,
    connector::Connector,
    parked::{Owner, Parked},
    pool::{Key, Pool},
    round::Round,
    watching::Watching,
};
use crate::{mcp::feature::Context, mcp_upstream::McpUpstream, upstream::identity::Caller};

/// How often a server may ask before it answers.
const MAX_ROUNDS: usize = 16;

/// Where a call that waits is remembered.
const WAITS: &str = "upstream.waits";

/// One server behind this one.
pub(super) struct Upstream {
    pub(super) label: Arc<str>,
    pub(super) connector: Arc<Connector>,
    pub(super) pool: Pool,
    pub(super) watching: Watching,
    pub(super) parked: Parked,
    permits: Arc<Semaphore>,
    known: RwLock<Known>,
}

/// What is known of an upstream.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// What it offers, or offered when it was last heard of.
    pub(super) catalogue: Arc<Catalogue>,
    /// Why it cannot be called; `None`: it can.
    pub(super) down: Option<Arc<str>>,
}

impl Upstream {
    pub(super) fn new(connector: Connector) -> Self {
        let connector = Arc::new(connector);
        Self {
            label: Arc::clone(&connector.label),
            pool: Pool::new(Arc::clone(&connector)),
            watching: Watching::default(),
            parked: Parked::default(),
            permits: Arc::new(Semaphore::new(connector.settings.limits.calls)),
            known: RwLock::new(Known {
                catalogue: Arc::default(),
                down: Some("it has not been reached yet".into()),
            }),
            connector,
        }
    }

    pub(super) fn settings(&self) -> &McpUpstream {
        &self.connector.settings
    }

    pub(super) fn known(&self) -> Known {
        let known = self.known.read();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what is known now. Whether it is something new.
    pub(super) fn learn(&self, new: Known) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = known.down.is_some() != new.down.is_some() || known.catalogue != new.catalogue;
        *known = new;
        is_new
    }

    /// On whose behalf whoever makes a call is connected; nobody's, where all are together.
    pub(super) fn caller(&self, context: &Context) -> Option<Caller> {
        (!self.settings().shared).then(|| Caller::of(context))
    }

    /// The connection of whoever makes a call.
    pub(super) async fn lease(&self, context: &Context) -> Result<Lease, Failure> {
        let key = Key::of(context, self.settings().shared);
        let lease = self.pool.lease(key, self.caller(context)).await;
        lease.map_err(|why| {
            self.connector.doubt.notify_one();
            Failure::Unavailable(why.to_string())
        })
    }

    /// Passes a request on, with all that comes before its answer.
    pub(super) async fn pass_on(
        self: &Arc<Self>,
        context: &Context,
        method: &'static str,
        params: Map<String, Value>,
    ) -> Result<Value, Failure> {
        let passed = self.pass_on_in_rounds(context, method, params).await;
        if let Err(Failure::Unavailable(_)) = &passed {
            self.connector.doubt.notify_one();
        }
        passed
    }

    async fn pass_on_in_rounds(
        self: &Arc<Self>,
        context: &Context,
        method: &'static str,
        params: Map<String, Value>,
    ) -> Result<Value, Failure> {
        let owner = Owner {
            grant: context.grant(),
            method,
            params,
        };
        let waiting = context.remembered(WAITS);
        if let Some(id) = waiting.as_ref().and_then(Value::as_str) {
            let id = Uuid::parse_str(id).ok();
            let running = id.and_then(|id| Some((id, self.parked.take(id, &owner)?)));
            let (id, running) = running
                .ok_or_else(|| Failure::unavailable("the call that asked is over; call again"))?;
            return self.drive(id, running, &owner, context).await;
        }
        // What the upstream wanted to know in an earlier round.
        let mut seen = Vec::new();
        let mut params = match Round::remembered(context) {
            Some(round) => round.answered(&owner.params, &mut seen, context).await?,
            None => owner.params.clone(),
        };
        for _ in 0..MAX_ROUNDS {
            let running = self.begin(context, method, params).await?;
            let id = Uuid::new_v4();
            let result = self.drive(id, running, &owner, context).await?;
            match result.get("resultType").and_then(Value::as_str) {
                Some("input_required") => {}
                Some("task") => {
                    return Err(Failure::unavailable(
                        "it began a task, which cannot be passed on",
                    ));
                }
                _ => return Ok(result),
            }
            let round = Round::begun_by(&result, &seen);
            round.remember(context);
            params = round.answered(&owner.params, &mut seen, context).await?;
        }
        Err(Failure::unavailable("it asks again and again"))
    }

    async fn begin(
        &self,
        context: &Context,
        method: &'static str,
        params: Map<String, Value>,
    ) -> Result<Box<Running>, Failure> {
        let timeout = self.settings().limits.timeout;
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(timeout, permit).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Failure::unavailable("too many calls run already"));
        };
        let lease = self.lease(context).await?;
        if method == "tools/call" && self.known().catalogue.has_header_params {
            lease.see_schemas().await;
        }
        if let Some(level) = context.log_level() {
            lease.log_from(level, timeout).await;
        }
        let sent = lease.send(method, params, context.log_level()).await;
        let sent = sent.map_err(failure)?;
        Ok(Box::new(Running::new(sent, lease, timeout, permit)))
    }

    async fn drive(
        &self,
        id: Uuid,
        running: Box<Running>,
        owner: &Owner,
        context: &Context,
    ) -> Result<Value, Failure> {
        match running.drive(&id.to_string(), context).await? {
            Driven::Ended(result) => Ok(result),
            Driven::Waits(running, stop) => {
                if !self.parked.keep(id, owner.clone(), running) {
                    return Err(Failure::unavailable("too many calls wait for an answer"));
                }
                context.remember(WAITS, Value::String(id.to_string()));
                Err(Failure::Stop(stop))
            }
        }
    }
}
