//! Users, and what is begun on their behalf.

use std::sync::Arc;

use remote_mcp_auth::{
    model::{
        authorization::CodeGrant,
        user::{BrowserSession, NamedUser, UserId, UserName},
    },
    secret::PasswordHash,
    store::{Redemption, Store},
};

use super::given::{HOUR, NOW, at_once, client, code_of, digest, issue, opens};

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn user(text: &str, hash: &str) -> NamedUser {
    NamedUser {
        name: name(text),
        password: PasswordHash::phc(hash),
        created_at: NOW,
    }
}

/// Whether the engine keeps users. One that forgets says so.
async fn keeps_users(store: &dyn Store) -> bool {
    match store.add_user(user("first", "hash")).await {
        Ok(added) => added,
        Err(refused) => {
            assert!(refused.to_string().contains("DATABASE_URL"), "{refused}");
            assert!(!store.has_users().await.unwrap());
            false
        }
    }
}

async fn begin_session(store: &dyn Store, of: &UserId, cookie: &str) {
    let session = BrowserSession {
        user: of.clone(),
        authenticated_at: NOW,
        expires_at: NOW + HOUR,
    };
    let kept = store.insert_browser_session(digest(cookie), session);
    kept.await.unwrap();
}

async fn is_signed_in(store: &dyn Store, cookie: &str) -> bool {
    let session = store.browser_session(&digest(cookie), NOW).await;
    session.unwrap().is_some()
}

pub(super) async fn a_user_is_found_by_name_as_they_were_added(store: Arc<dyn Store>) {
    assert!(!store.has_users().await.unwrap());
    if !keeps_users(&*store).await {
        return;
    }
    assert!(store.has_users().await.unwrap());
    let ada = user("ada", "hash of ada");
    assert!(store.add_user(ada.clone()).await.unwrap());
    assert!(!store.add_user(user("Ada", "other")).await.unwrap());
    assert_eq!(store.user(&name("ada")).await.unwrap(), Some(ada.clone()));
    assert_eq!(store.user(&name("charles")).await.unwrap(), None);
    let all = store.users().await.unwrap();
    assert_eq!(all, [ada, user("first", "hash")]);
}

pub(super) async fn a_name_is_taken_by_exactly_one_of_many(store: Arc<dyn Store>) {
    if !keeps_users(&*store).await {
        return;
    }
    let told = at_once(|number| {
        let store = Arc::clone(&store);
        async move {
            let ada = user("ada", &number.to_string());
            store.add_user(ada).await.unwrap()
        }
    })
    .await;
    let added: Vec<usize> = told.iter().filter(|(_, is)| *is).map(|(n, _)| *n).collect();
    let [first] = added[..] else {
        panic!("not one: {added:?}");
    };
    let kept = store.user(&name("ada")).await.unwrap();
    assert_eq!(kept, Some(user("ada", &first.to_string())));
}

pub(super) async fn another_password_signs_out_and_another_hash_does_not(store: Arc<dyn Store>) {
    if !keeps_users(&*store).await {
        return;
    }
    let of = name("first");
    let hash = PasswordHash::phc;
    begin_session(&*store, &UserId::named(&of), "cookie").await;
    for (previous, next) in [("hash", "rehashed"), ("hash", "too late")] {
        let previous = hash(previous);
        let replaced = store.replace_password_hash(&of, &previous, hash(next));
        replaced.await.unwrap();
        let kept = store.user(&of).await.unwrap().unwrap();
        assert_eq!(kept.password, hash("rehashed"));
    }
    assert!(is_signed_in(&*store, "cookie").await);

    assert!(store.set_password(&of, hash("new")).await.unwrap());
    let kept = store.user(&of).await.unwrap().unwrap();
    assert_eq!(kept.password, hash("new"));
    assert!(!is_signed_in(&*store, "cookie").await);
    let unknown = store.set_password(&name("nobody"), hash("new")).await;
    assert!(!unknown.unwrap());
}

fn code_for(of: &UserId) -> CodeGrant {
    CodeGrant {
        user: of.clone(),
        ..code_of("app")
    }
}

pub(super) async fn with_a_user_goes_whatever_was_begun_for_them(store: Arc<dyn Store>) {
    if !keeps_users(&*store).await {
        return;
    }
    store.insert_client(client("app")).await.unwrap();
    let (of, other) = (name("first"), name("other"));
    store.add_user(user("other", "hash")).await.unwrap();
    for (of, prefix) in [(&of, "a"), (&other, "b")] {
        let id = UserId::named(of);
        begin_session(&*store, &id, &format!("{prefix} cookie")).await;
        for code in ["redeemed", "waiting"] {
            let code = digest(&format!("{prefix} {code}"));
            store.insert_code(code, code_for(&id)).await.unwrap();
        }
        let mut issue = issue("app", prefix, NOW);
        issue.grant.user = id;
        let code = digest(&format!("{prefix} redeemed"));
        let redeemed = store.redeem_code(&code, issue, NOW);
        assert_eq!(redeemed.await.unwrap(), Redemption::Redeemed);
    }

    assert!(store.remove_user(&of).await.unwrap());
    assert!(!store.remove_user(&of).await.unwrap());
    assert_eq!(store.user(&of).await.unwrap(), None);
    for (prefix, is_there) in [("a", false), ("b", true)] {
        let cookie = format!("{prefix} cookie");
        assert_eq!(is_signed_in(&*store, &cookie).await, is_there);
        assert_eq!(
            opens(&*store, &format!("{prefix} access"), NOW).await,
            is_there
        );
        let code = digest(&format!("{prefix} waiting"));
        let found = store.code(&code, NOW).await.unwrap();
        assert_eq!(found.is_some(), is_there);
    }
}

pub(super) async fn nothing_begins_for_a_user_who_is_removed(store: Arc<dyn Store>) {
    if !keeps_users(&*store).await {
        return;
    }
    store.insert_client(client("app")).await.unwrap();
    let of = name("first");
    let id = UserId::named(&of);
    store.remove_user(&of).await.unwrap();
    begin_session(&*store, &id, "cookie").await;
    assert!(!is_signed_in(&*store, "cookie").await);
    store
        .insert_code(digest("code"), code_for(&id))
        .await
        .unwrap();
    assert!(store.code(&digest("code"), NOW).await.unwrap().is_none());

    // Whoever comes in the middle of it gets there wholly or not at all, and stays in neither case.
    for round in 0..10 {
        store.add_user(user("first", "hash")).await.unwrap();
        let tasks = at_once(|number| {
            let (store, of, id) = (Arc::clone(&store), of.clone(), id.clone());
            async move {
                let text = format!("{round} {number}");
                if number == 5 {
                    return store.remove_user(&of).await.unwrap();
                }
                begin_session(&*store, &id, &text).await;
                store
                    .insert_code(digest(&text), code_for(&id))
                    .await
                    .unwrap();
                let mut issue = issue("app", &text, NOW);
                issue.grant.user = id;
                store.redeem_code(&digest(&text), issue, NOW).await.unwrap();
                false
            }
        })
        .await;
        assert_eq!(tasks.iter().filter(|(_, removed)| *removed).count(), 1);
        for number in 0..tasks.len() {
            let text = format!("{round} {number}");
            assert!(!is_signed_in(&*store, &text).await, "{text}");
            assert!(
                !opens(&*store, &format!("{text} access"), NOW).await,
                "{text}"
            );
        }
    }
}
