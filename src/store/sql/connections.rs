//! What people see of those that they have let in, in a database.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{SqlStore, grants::grant, statement::sql};
use crate::{
    clock::Timestamp,
    model::{
        grant::{Connection, GrantId},
        user::UserId,
    },
    store::{Connections, MAX_TOOLS, Result, SAME_VISIT},
};

#[async_trait]
impl Connections for SqlStore {
    async fn connections(&self, user: &UserId, now: Timestamp) -> Result<Vec<Connection>> {
        let select = sql(
            "SELECT g.id, g.user_id, g.client_id, g.client_name, g.scopes, \
                 g.resource, g.jkt, g.address, g.device, g.created_at, g.last_used_at \
             FROM grants g \
             WHERE g.user_id = $2 AND (EXISTS (SELECT 1 FROM refresh_tokens r \
                     WHERE r.grant_id = g.id AND r.expires_at > $1 \
                         AND r.repeatable_until IS NULL) \
                 OR EXISTS (SELECT 1 FROM access_tokens a WHERE a.grant_id = g.id \
                     AND a.expires_at > $1)) \
             ORDER BY g.created_at DESC, g.id DESC",
        );
        let grants = self.db.read_all(select.bind(now).bind(user)).await?;
        let select = sql("SELECT t.grant_id, t.tool FROM grant_tools t \
             JOIN grants g ON g.id = t.grant_id WHERE g.user_id = $1 ORDER BY t.tool");
        let mut tools: HashMap<GrantId, Vec<Box<str>>> = HashMap::new();
        for row in self.db.read_all(select.bind(user)).await? {
            let noted = tools.entry(row.grant_id("grant_id")?).or_default();
            noted.push(row.text("tool")?.into());
        }
        let mut connections = Vec::with_capacity(grants.len());
        for row in &grants {
            let grant = grant(row)?;
            let tools = tools.remove(&grant.id).unwrap_or_default();
            connections.push(Connection { grant, tools });
        }
        Ok(connections)
    }

    async fn note_tool(&self, grant: GrantId, tool: &str) -> Result<()> {
        let note = sql("INSERT INTO grant_tools (grant_id, tool) \
             SELECT id, $2 FROM grants WHERE id = $1 \
                 AND (SELECT COUNT(*) FROM grant_tools WHERE grant_id = $1) < $3 \
             ON CONFLICT DO NOTHING");
        let note = note.bind(grant).bind(tool).bind(MAX_TOOLS);
        self.db.run(note).await?;
        Ok(())
    }

    async fn visit(&self, user: &UserId, now: Timestamp) -> Result<Option<Timestamp>> {
        // What stands there is looked at before it is replaced.
        let visit = sql(
            "INSERT INTO visits (user_id, last_seen_at) VALUES ($1, $2) \
             ON CONFLICT (user_id) DO UPDATE SET \
                 before = CASE WHEN $2 - visits.last_seen_at >= $3 THEN visits.last_seen_at \
                     ELSE visits.before END, \
                 last_seen_at = CASE WHEN visits.last_seen_at < $2 THEN $2 \
                     ELSE visits.last_seen_at END \
             RETURNING before",
        );
        let same_visit = u64::try_from(SAME_VISIT.as_millis()).unwrap_or(u64::MAX);
        let visit = visit.bind(user).bind(now).bind(same_visit);
        let found = self.db.run_one(visit).await?;
        Ok(found
            .map(|row| row.maybe_time("before"))
            .transpose()?
            .flatten())
    }
}
