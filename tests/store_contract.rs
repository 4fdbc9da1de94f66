//! What every engine of the store promises. Each behaviour is told once and run on each engine.

mod authorizations;
mod clients;
mod codes;
mod connections;
mod given;
mod given_up;
mod grants;
mod links;
mod lost_word;
mod outage;
mod people;
mod refresh;
mod replays;
mod replicas;
mod revocation;
mod schema;
mod session_streams;
mod sessions;
mod sweep;
mod tasks;
mod users;

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use remote_mcp_auth::store::{Limits, MemoryStore, SqlStore, Store};
use tempfile::TempDir;

use crate::support;

/// The caps that an engine is opened with: low enough to be reached.
const CLIENTS: usize = 3;
const PENDING: usize = 3;
const MCP_SESSIONS: usize = 6;
const MCP_SESSIONS_PER_OWNER: usize = 3;
const REPLAYS: usize = 6;

/// Puts an engine through the suite. `$open` yields an empty store with the caps above, and what it
/// lives in; or nothing, where there is no such engine here.
macro_rules! contract {
    ($engine:ident: $open:path) => {
        mod $engine {
            contract! { @each $open;
                clients:
                    a_client_is_found_as_it_was_kept
                    those_that_nobody_allowed_give_way_oldest_first
                    a_client_that_was_let_in_once_never_gives_way
                    a_document_is_kept_instead_of_the_one_before
                    a_client_is_replaced_by_whoever_holds_its_registration_token
                    a_client_is_replaced_by_exactly_one_of_many
                    a_client_that_is_replaced_keeps_its_place
                    a_client_that_did_not_register_is_managed_by_nobody
                    a_client_is_removed_with_everything_under_it
                    a_client_is_removed_by_exactly_one_of_many
                    nothing_begins_under_a_client_that_is_removed
                    a_client_that_is_removed_makes_room;
                authorizations:
                    a_request_is_found_by_the_browser_that_brought_it_and_by_no_other
                    a_request_without_a_browser_is_bound_once
                    a_request_is_taken_by_exactly_one_of_many
                    a_request_expires_at_the_exact_moment
                    the_oldest_request_gives_way_at_the_cap
                    a_pushed_request_is_found_until_the_exact_moment_of_its_expiry
                    the_oldest_pushed_request_gives_way_at_the_cap
                    what_was_pushed_and_what_waits_are_told_apart
                    consent_is_remembered_exactly;
                codes:
                    a_code_is_found_until_the_exact_moment_of_its_expiry
                    a_code_is_redeemed_by_exactly_one_of_many
                    a_code_that_is_unknown_or_expired_begins_nothing
                    a_redeemed_code_is_recognised_after_its_expiry
                    a_grant_may_begin_without_a_refresh_token;
                grants:
                    an_access_token_opens_until_the_exact_moment_of_its_expiry
                    a_refresh_token_is_found_until_the_exact_moment_of_its_expiry
                    the_last_use_of_a_grant_moves_forward_only
                    grants_are_listed_oldest_first_while_a_token_of_theirs_lives
                    a_grant_of_a_client_itself_begins_once
                    many_tokens_at_once_are_kept_under_one_grant
                    a_grant_of_a_client_itself_begins_anew_after_its_end;
                connections:
                    a_person_sees_their_own_live_grants_the_newest_first
                    the_tools_of_a_grant_are_kept_once_each_and_there_is_an_end_to_them
                    many_tools_at_once_are_all_kept
                    a_visit_is_told_of_the_one_before
                    browser_sessions_end_one_by_one_or_all_at_once;
                refresh:
                    a_refresh_token_is_replaced_by_its_successor
                    a_refresh_token_is_rotated_by_exactly_one_of_many
                    the_answer_is_repeated_to_the_end_of_the_grace_window
                    reuse_after_the_grace_window_revokes_everything
                    a_refresh_token_that_is_unknown_or_expired_yields_nothing
                    the_answer_is_replaced_by_exactly_one_of_many
                    only_the_answer_that_was_read_is_replaced;
                revocation:
                    revoking_ends_everything_under_the_grant
                    revoking_leaves_other_grants_alone
                    a_grant_is_revoked_by_exactly_one_of_many
                    a_revocation_is_announced_to_those_who_listen
                    an_access_token_is_revoked_alone
                    an_access_token_is_revoked_by_exactly_one_of_many;
                replays:
                    a_second_use_is_recognised_until_the_exact_moment
                    something_is_used_first_by_exactly_one_of_many
                    at_the_cap_nothing_new_is_let_in_before_something_expires
                    the_ends_of_time_do_no_harm;
                sessions:
                    a_browser_session_lasts_until_the_exact_moment_of_its_expiry
                    an_mcp_session_is_found_by_its_owner_and_by_nobody_else
                    an_mcp_session_lasts_as_long_as_it_is_used
                    the_longest_idle_session_of_an_owner_gives_way
                    the_longest_idle_session_of_all_gives_way
                    an_mcp_session_is_ended_by_exactly_one_of_many;
                session_streams:
                    what_a_client_wants_to_be_told_is_kept_with_its_session
                    a_session_subscribes_to_so_many_and_no_more
                    a_stream_is_found_as_it_was_sent
                    a_stream_is_kept_for_some_time_after_its_last_event
                    only_the_newest_streams_and_events_are_kept
                    streams_end_with_their_session
                    mail_is_heard_by_whoever_listens;
                tasks:
                    a_task_is_its_owners_alone
                    a_task_never_goes_back
                    a_task_is_lost_with_its_process
                    a_task_is_forgotten_when_its_time_is_over;
                sweep:
                    a_sweep_removes_what_has_expired
                    a_sweep_removes_nothing_else
                    a_sweep_makes_room
                    an_engine_is_ready;
                users:
                    a_user_is_found_by_name_as_they_were_added
                    a_name_is_taken_by_exactly_one_of_many
                    another_password_signs_out_and_another_hash_does_not
                    with_a_user_goes_whatever_was_begun_for_them
                    nothing_begins_for_a_user_who_is_removed;
                people:
                    a_departure_is_taken_once_by_the_browser_that_left
                    a_departure_lasts_until_the_exact_moment_of_its_end
                    the_oldest_departure_gives_way_at_the_cap
                    the_newest_profile_of_a_person_counts;
                links:
                    a_link_is_found_as_it_was_kept
                    a_link_is_claimed_by_exactly_one_of_many
                    a_claim_ends_with_its_time_or_with_the_link
                    a_link_is_replaced_and_ended_by_whoever_has_seen_it
                    keys_stay_as_long_as_a_link_needs_them;
            }
        }
    };
    (@each $open:path; $($room:ident: $($behaviour:ident)+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $behaviour() {
            if let Some((store, _home)) = $open().await {
                crate::store_contract::$room::$behaviour(store).await;
            }
        }
    )+)+};
}

contract!(memory: crate::store_contract::open_memory);
contract!(sqlite: crate::store_contract::open_sqlite);
contract!(postgres: crate::store_contract::open_postgres);

const LIMITS: Limits = Limits {
    clients: CLIENTS,
    pending_authorizations: PENDING,
    mcp_sessions: MCP_SESSIONS,
    mcp_sessions_per_grant: MCP_SESSIONS_PER_OWNER,
    replays: REPLAYS,
};

type Opened = Option<(Arc<dyn Store>, Option<TempDir>)>;

fn open_memory() -> Ready<Opened> {
    ready(Some((Arc::new(MemoryStore::new(LIMITS)), None)))
}

async fn open_sqlite() -> Opened {
    let home = TempDir::new().unwrap();
    let store = SqlStore::sqlite(&home.path().join("state.db"), LIMITS).await;
    Some((Arc::new(store.unwrap()), Some(home)))
}

async fn open_postgres() -> Opened {
    let url = support::postgres::database().await?;
    let store = SqlStore::postgres(&url, 10, LIMITS).await;
    Some((Arc::new(store.unwrap()), None))
}
