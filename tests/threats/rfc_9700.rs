//! RFC 9700, “Best Current Practice for OAuth 2.0 Security”.

use super::{Line, NotOurs, Otherwise, Shown};

pub(super) const LINES: &[Line] = &[
    (
        "2.1",
        "a redirect URI that only resembles a registered one",
        Shown(&[
            "authorization::a_redirect_uri_that_was_not_registered_sees_a_page",
            "loopback_redirects::everything_but_the_port_is_exact",
        ]),
    ),
    (
        "2.1",
        "a page that leads wherever the URL says",
        Shown(&["login::posting_somewhere_else_on_the_way_back_is_not_possible"]),
    ),
    (
        "2.1",
        "a callback that the client never asked for",
        Shown(&[
            "authorization::the_state_comes_back_byte_for_byte",
            "authorization::a_proof_key_with_s256_is_required",
        ]),
    ),
    (
        "2.1",
        "a client that takes one server's answer for another's",
        Shown(&[
            "authorization::an_allowed_request_comes_back_with_code_state_and_issuer",
            "consent::denying_tells_the_client_and_is_not_remembered",
        ]),
    ),
    (
        "2.1",
        "a passcode that travels on with a redirect",
        Shown(&["threats::attacks::no_redirect_takes_the_passcode_along"]),
    ),
    (
        "2.1.1",
        "a code without a challenge, or with one that gives the verifier away",
        Shown(&["authorization::a_proof_key_with_s256_is_required"]),
    ),
    (
        "2.1.1",
        "a verifier that does not fit",
        Shown(&[
            "token_exchange::a_mistake_burns_nothing",
            "token_exchange::the_verifiers_grammar_counts_even_if_the_hash_fits",
        ]),
    ),
    (
        "2.1.1",
        "clients that cannot see whether PKCE is there",
        Shown(&["discovery::the_server_metadata_says_everything_that_clients_insist_on"]),
    ),
    (
        "2.1.1",
        "a client whose challenge is always the same",
        NotOurs(
            "Encouraged and not demanded; as an authorization URL may be opened twice, a challenge \
             that comes again says nothing about the client.",
        ),
    ),
    (
        "2.1.2",
        "access tokens in the answer of the authorization endpoint",
        Shown(&["authorization::only_the_code_flow_is_there"]),
    ),
    (
        "2.2.1",
        "a stolen access token",
        Shown(&["dpop::whoever_finds_a_bound_token_can_do_nothing_with_it"]),
    ),
    (
        "2.2.2",
        "a stolen refresh token of a public client",
        Shown(&[
            "refresh_rotation::after_the_grace_an_old_token_ends_everything",
            "dpop::whoever_finds_a_bound_token_can_do_nothing_with_it",
        ]),
    ),
    (
        "2.3",
        "a token that may do more than it has to",
        Shown(&[
            "scopes::clients_are_told_the_first_scope_to_begin_with",
            "scopes::a_call_that_needs_more_names_the_scope_before_any_stream_opens",
        ]),
    ),
    (
        "2.3",
        "a token that was meant for somebody else",
        Shown(&[
            "bearer_challenges::a_token_is_good_for_the_server_it_was_issued_for",
            "authorization::any_other_resource_is_an_invalid_target",
        ]),
    ),
    (
        "2.4",
        "passwords in the hands of clients",
        Shown(&["threats::attacks::no_grant_takes_a_password"]),
    ),
    (
        "2.5",
        "a client that could say who it is and does not",
        Shown(&[
            "token_exchange::a_wrong_or_missing_secret_is_an_invalid_client_and_burns_nothing",
            "private_key_jwt::a_client_that_signs_has_no_other_way",
        ]),
    ),
    (
        "2.5",
        "secrets that both sides have to keep",
        Shown(&["private_key_jwt::a_client_that_signs_gets_tokens_whatever_its_algorithm"]),
    ),
    (
        "2.6",
        "clients that are set up by hand, and wrongly",
        Shown(&["discovery::everything_that_the_metadata_promises_is_there"]),
    ),
    (
        "2.6",
        "a client that calls itself what a person is called",
        Shown(&["threats::attacks::no_client_can_call_itself_what_the_owner_is_called"]),
    ),
    (
        "2.6",
        "requests that are not encrypted",
        Shown(&[
            "process::start::a_public_url_without_encryption_is_for_loopback_or_for_the_determined",
        ]),
    ),
    (
        "2.6",
        "answers that are not encrypted",
        Shown(&["registration::redirect_uris_that_could_lead_a_code_astray_are_refused"]),
    ),
    (
        "2.6",
        "answers by messages between windows",
        Shown(&["prompts::answers_go_in_the_query_and_nowhere_else"]),
    ),
    (
        "2.6",
        "scripts of other sites at the authorization endpoint",
        Shown(&["cors::the_pages_for_people_are_not_shared"]),
    ),
    (
        "4.1.1",
        "patterns and near misses in redirect URIs",
        Shown(&[
            "authorization::a_redirect_uri_that_was_not_registered_sees_a_page",
            "authorization::a_repeated_client_id_or_redirect_uri_is_not_to_be_trusted",
        ]),
    ),
    (
        "4.1.2",
        "the same with tokens in the fragment",
        Shown(&["authorization::only_the_code_flow_is_there"]),
    ),
    (
        "4.1.3",
        "native clients, whose port nobody knows beforehand",
        Shown(&[
            "loopback_redirects::any_port_does_on_each_of_the_loopback_names",
            "loopback_redirects::the_code_goes_to_the_port_that_was_asked_for_and_is_redeemed_with_it",
        ]),
    ),
    (
        "4.2.1",
        "a code or state in the Referer of the client's page",
        Shown(&["token_exchange::a_code_presented_twice_takes_back_what_it_gave"]),
    ),
    (
        "4.2.2",
        "a state in the Referer of our pages",
        Shown(&["threats::attacks::pages_cannot_be_framed_and_tell_nobody_where_they_were"]),
    ),
    (
        "4.3.1",
        "a code in the browser's history",
        Shown(&[
            "token_exchange::a_code_is_good_for_a_minute",
            "token_exchange::a_code_presented_twice_takes_back_what_it_gave",
        ]),
    ),
    (
        "4.3.2",
        "an access token in the browser's history",
        Shown(&["bearer_challenges::tokens_outside_the_header_do_not_count"]),
    ),
    (
        "4.4.2",
        "mix-up: a code at the wrong server",
        Shown(&[
            "authorization::an_allowed_request_comes_back_with_code_state_and_issuer",
            "discovery::the_server_metadata_says_everything_that_clients_insist_on",
            "upstream_refusals::an_answer_of_another_issuer_is_not_brought_to_this_one",
            "upstream_refusals::an_answer_is_for_the_provider_that_the_browser_was_sent_to",
        ]),
    ),
    (
        "4.5",
        "a stolen code in the attacker's own session",
        Shown(&["threats::attacks::a_code_from_another_session_is_no_use"]),
    ),
    (
        "4.6",
        "a stolen access token in the answer to another client",
        Shown(&["authorization::only_the_code_flow_is_there"]),
    ),
    (
        "4.7",
        "the attacker's code in the victim's session",
        Shown(&[
            "threats::attacks::a_code_from_another_session_is_no_use",
            "authorization::the_state_comes_back_byte_for_byte",
        ]),
    ),
    (
        "4.8",
        "a request from which the challenge was taken out",
        Shown(&["authorization::a_proof_key_with_s256_is_required"]),
    ),
    (
        "4.9.1",
        "a resource server that is not the one it seems to be",
        Shown(&[
            "authorization::any_other_resource_is_an_invalid_target",
            "dpop::whoever_finds_a_bound_token_can_do_nothing_with_it",
        ]),
    ),
    (
        "4.9.2",
        "a resource server that was broken into",
        Shown(&[
            "introspection::a_resource_server_is_told_of_the_access_tokens_that_it_is_to_accept",
            "bearer_challenges::a_token_expires_when_it_was_said_to",
        ]),
    ),
    (
        "4.10.1",
        "a stolen token without its key",
        Shown(&[
            "dpop::whoever_finds_a_bound_token_can_do_nothing_with_it",
            "dpop::a_client_that_says_that_its_tokens_are_bound_gets_no_others",
        ]),
    ),
    (
        "4.10.2",
        "a stolen token at another resource server",
        Shown(&["bearer_challenges::a_token_is_good_for_the_server_it_was_issued_for"]),
    ),
    (
        "4.11.1",
        "a client that leads wherever the URL says",
        NotOurs(
            "It is the client's to prevent; that its redirect URIs are compared in full helps.",
        ),
    ),
    (
        "4.11.2",
        "a redirect URI that is not the client's",
        Shown(&["authorization::a_redirect_uri_that_was_not_registered_sees_a_page"]),
    ),
    (
        "4.11.2",
        "a mistake made on purpose, to be sent on without a question",
        Otherwise(
            "The client is told at once, whether somebody has signed in or not, because clients and \
             those who test them wait for it. It goes to a registered address alone, and \
             REGISTRATION_REDIRECT_HOSTS says which may be.",
        ),
    ),
    (
        "4.11.2",
        "a request that leads to a stranger's site however it is answered",
        Shown(&[
            "consent::the_page_shows_the_host_that_the_browser_goes_to",
            "registration_policy::clients_redirect_to_the_hosts_that_the_operator_allows",
        ]),
    ),
    (
        "4.11.2",
        "a request that must not ask, to be sent on without a question",
        Shown(&[
            "prompts::none_is_answered_at_once_where_nothing_need_be_asked",
            "registration_policy::clients_redirect_to_the_hosts_that_the_operator_allows",
        ]),
    ),
    (
        "4.12",
        "a redirect that repeats the form",
        Shown(&["threats::attacks::no_redirect_takes_the_passcode_along"]),
    ),
    (
        "4.13",
        "an address that a client made up, passed on by the proxy",
        Shown(&[
            "registration_limits::an_address_cannot_be_forged_by_writing_more_of_them",
            "registration_limits::proxies_that_nobody_trusts_are_not_believed",
        ]),
    ),
    (
        "4.14.2",
        "refresh tokens for clients that did not ask for them",
        Shown(&[
            "token_exchange::a_client_that_did_not_register_for_refreshing_gets_no_refresh_token_unless_it_asks",
        ]),
    ),
    (
        "4.14.2",
        "a refresh token that yields more than was allowed",
        Shown(&[
            "refresh_rotation::scopes_are_narrowed_to_what_was_granted",
            "refresh_rotation::the_resource_may_be_named_and_a_wrong_one_burns_nothing",
        ]),
    ),
    (
        "4.14.2",
        "a refresh token in the hands of another client",
        Shown(&["refresh_rotation::a_refresh_token_is_good_for_its_client_alone"]),
    ),
    (
        "4.14.2",
        "a refresh token that was used already",
        Shown(&["refresh_rotation::after_the_grace_an_old_token_ends_everything"]),
    ),
    (
        "4.14.2",
        "a refresh token that nobody has used for long",
        Shown(&["refresh_rotation::whoever_keeps_refreshing_stays_connected"]),
    ),
    (
        "4.15",
        "a client that is taken for a person",
        Shown(&[
            "threats::attacks::no_client_can_call_itself_what_the_owner_is_called",
            "client_credentials::a_token_can_be_asked_about_and_given_back_and_expires",
        ]),
    ),
    (
        "4.16",
        "our pages inside somebody else's",
        Shown(&["threats::attacks::pages_cannot_be_framed_and_tell_nobody_where_they_were"]),
    ),
    (
        "4.17",
        "messages between windows that reach the wrong one",
        Shown(&["prompts::answers_go_in_the_query_and_nowhere_else"]),
    ),
];
