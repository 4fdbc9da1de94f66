//! The use of a refresh token: compare and swap, under the lock of its grant.

use super::{
    database::{DbResult, Tx},
    grants::{Counts, NewRefresh, counts, end, keep_access, keep_refresh, lock, rotation},
    news::News,
    statement::sql,
};
use crate::{
    clock::Timestamp,
    model::grant::{Authorization, GrantId, Rotation, SealedAnswer},
    secret::Digest,
    store::{RefreshOutcome, Successor},
};

/// Uses a refresh token.
pub(super) async fn rotate(
    tx: &mut Tx,
    news: &News<'_>,
    token: &Digest,
    successor: &Successor,
    now: Timestamp,
) -> DbResult<RefreshOutcome> {
    news.begin();
    let Some(found) = find_refresh(tx, token, now).await? else {
        return Ok(RefreshOutcome::Unknown);
    };
    if let Some(outcome) = use_again(tx, news, &found, now).await? {
        return Ok(outcome);
    }
    if !lock(tx, found.grant, now).await? {
        return Ok(RefreshOutcome::Unknown);
    }
    let rotate = sql(
        "UPDATE refresh_tokens SET repeatable_until = $2, answer = $3 \
         WHERE digest = $1 AND repeatable_until IS NULL",
    )
    .bind(token)
    .bind(now + successor.grace)
    .bind(&*successor.answer.0);
    if tx.run(rotate).await? == 0 {
        // Somebody was first while we waited for the lock.
        let outcome = match find_refresh(tx, token, now).await? {
            Some(found) => use_again(tx, news, &found, now).await?,
            None => None,
        };
        return Ok(outcome.unwrap_or(RefreshOutcome::Unknown));
    }
    let counts = count_both(tx, found.grant, successor).await?;
    keep_access(tx, &successor.access, counts.access).await?;
    let refresh = NewRefresh {
        grant: found.grant,
        token: &successor.digest,
        expires_at: successor.expires_at,
        predecessor: Some(*token),
        number: counts.refresh,
    };
    keep_refresh(tx, refresh, now).await?;
    Ok(RefreshOutcome::Rotated)
}

/// Replaces the answer of one that was used.
pub(super) async fn replace(
    tx: &mut Tx,
    token: &Digest,
    (previous, answer): (&SealedAnswer, &SealedAnswer),
    access: &Authorization,
    now: Timestamp,
) -> DbResult<bool> {
    if !lock(tx, access.grant, now).await? {
        return Ok(false);
    }
    let replace = sql("UPDATE refresh_tokens SET answer = $3 \
         WHERE digest = $1 AND grant_id = $4 AND answer = $2")
    .bind(token)
    .bind(&*previous.0)
    .bind(&*answer.0)
    .bind(access.grant);
    if tx.run(replace).await? == 0 {
        return Ok(false);
    }
    let count = sql("UPDATE grants SET access_count = access_count + 1, \
             ends_at = CASE WHEN ends_at < $2 THEN $2 ELSE ends_at END \
         WHERE id = $1 RETURNING access_count, refresh_count")
    .bind(access.grant)
    .bind(access.expires_at);
    let counts = counts(tx.one(count).await?)?;
    keep_access(tx, access, counts.access).await?;
    Ok(true)
}

async fn count_both(tx: &mut Tx, grant: GrantId, successor: &Successor) -> DbResult<Counts> {
    let count = sql("UPDATE grants SET access_count = access_count + 1, \
             refresh_count = refresh_count + 1, \
             ends_at = CASE WHEN ends_at < $2 THEN $2 ELSE ends_at END \
         WHERE id = $1 RETURNING access_count, refresh_count")
    .bind(grant)
    .bind(successor.expires_at.max(successor.access.expires_at));
    counts(tx.one(count).await?)
}

/// A refresh token on the point of being used.
struct FoundRefresh {
    grant: GrantId,
    rotation: Option<Rotation>,
}

async fn find_refresh(
    tx: &mut Tx,
    token: &Digest,
    now: Timestamp,
) -> DbResult<Option<FoundRefresh>> {
    let select = sql(
        "SELECT grant_id, repeatable_until, answer FROM refresh_tokens \
         WHERE digest = $1 AND expires_at > $2",
    );
    let Some(row) = tx.one(select.bind(token).bind(now)).await? else {
        return Ok(None);
    };
    Ok(Some(FoundRefresh {
        grant: row.grant_id("grant_id")?,
        rotation: rotation(&row)?,
    }))
}

/// What becomes of a refresh token that was used before; `None` if it was not.
async fn use_again(
    tx: &mut Tx,
    news: &News<'_>,
    found: &FoundRefresh,
    now: Timestamp,
) -> DbResult<Option<RefreshOutcome>> {
    let outcome = match &found.rotation {
        None => return Ok(None),
        Some(rotation) if now <= rotation.repeatable_until => {
            RefreshOutcome::Repeated(rotation.answer.clone())
        }
        Some(_) if end(tx, news, found.grant).await? => RefreshOutcome::Reused(found.grant),
        // Somebody else has ended it.
        Some(_) => RefreshOutcome::Unknown,
    };
    Ok(Some(outcome))
}
