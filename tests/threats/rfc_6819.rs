//! RFC 6819, “OAuth 2.0 Threat Model and Security Considerations”, §4.

use super::{Answer, Line, NotOurs, Shown};

/// Where tokens never come from.
const NO_IMPLICIT_GRANT: Answer = Shown(&["authorization::only_the_code_flow_is_there"]);

/// What no client is given.
const NO_PASSWORD_GRANT: Answer = Shown(&["threats::attacks::no_grant_takes_a_password"]);

/// What keeps others from listening.
const ENCRYPTED: Answer = Shown(&[
    "process::start::a_public_url_without_encryption_is_for_loopback_or_for_the_determined",
]);

/// What a copy of the store is worth.
const ONLY_DIGESTS: Answer = Shown(&["threats::attacks::the_store_is_never_given_a_secret"]);

pub(super) const LINES: &[Line] = &[
    (
        "4.1.1",
        "a client's secret, from its program or its settings",
        Shown(&[
            "registration::a_public_client_gets_an_id_no_secret_and_its_metadata_back",
            "registration::every_registration_is_a_client_of_its_own",
            "process::settings::a_secret_with_a_mistake_in_it_is_not_repeated",
        ]),
    ),
    (
        "4.1.2",
        "a client's refresh tokens",
        Shown(&[
            "refresh_rotation::after_the_grace_an_old_token_ends_everything",
            "refresh_rotation::a_refresh_token_is_good_for_its_client_alone",
            "revocation::a_refresh_token_takes_everything_with_it",
        ]),
    ),
    (
        "4.1.3",
        "a client's access tokens",
        Shown(&[
            "bearer_challenges::a_token_expires_when_it_was_said_to",
            "revocation::an_access_token_goes_alone",
            "dpop::whoever_finds_a_bound_token_can_do_nothing_with_it",
        ]),
    ),
    (
        "4.1.4",
        "a browser that the client has built in, and that reads along",
        NotOurs("Which browser a client opens cannot be seen from here."),
    ),
    (
        "4.1.5",
        "a client that leads wherever the URL says",
        NotOurs(
            "It is the client's to prevent; that its redirect URIs are compared in full helps.",
        ),
    ),
    (
        "4.2.1",
        "a page that only looks like the sign-in page",
        NotOurs(
            "It has another address, which only the person can see; the page says the real one.",
        ),
    ),
    (
        "4.2.2",
        "a person who allows more than was meant",
        Shown(&[
            "consent::the_page_says_who_asks_where_the_answer_goes_and_what_will_be_possible",
            "scopes::clients_are_told_the_first_scope_to_begin_with",
        ]),
    ),
    (
        "4.2.3",
        "a client that profits from what was allowed to another",
        Shown(&[
            "consent::what_was_allowed_is_remembered_for_the_same_client_uri_and_person",
            "consent::redirects_that_any_program_could_catch_are_asked_about_every_time",
        ]),
    ),
    (
        "4.2.4",
        "an authorization endpoint that leads wherever the URL says",
        Shown(&["authorization::a_redirect_uri_that_was_not_registered_sees_a_page"]),
    ),
    ("4.3.1", "access tokens, overheard", ENCRYPTED),
    ("4.3.2", "access tokens, from the database", ONLY_DIGESTS),
    (
        "4.3.3",
        "a client's secret, overheard",
        Shown(&[
            "process::start::a_public_url_without_encryption_is_for_loopback_or_for_the_determined",
            "private_key_jwt::a_client_that_signs_has_no_other_way",
        ]),
    ),
    (
        "4.3.4",
        "a client's secret, from the database",
        ONLY_DIGESTS,
    ),
    (
        "4.3.5",
        "a client's secret, guessed",
        Shown(&[
            "token_limits::an_address_that_guesses_has_to_wait_and_no_other_does",
            "threats::attacks::what_is_handed_out_cannot_be_guessed",
        ]),
    ),
    (
        "4.4.1.1",
        "a code, overheard or leaked",
        Shown(&[
            "token_exchange::a_code_is_good_for_a_minute",
            "token_exchange::a_code_presented_twice_takes_back_what_it_gave",
            "token_exchange::a_mistake_burns_nothing",
        ]),
    ),
    ("4.4.1.2", "codes, from the database", ONLY_DIGESTS),
    (
        "4.4.1.3",
        "a code, guessed",
        Shown(&[
            "threats::attacks::what_is_handed_out_cannot_be_guessed",
            "token_exchange::a_mistake_burns_nothing",
        ]),
    ),
    (
        "4.4.1.4",
        "a client that pretends to be another",
        Shown(&[
            "consent::the_page_shows_the_host_that_the_browser_goes_to",
            "registration::names_that_could_deceive_on_the_consent_page_are_refused",
            "consent::a_client_on_the_same_computer_comes_with_a_warning",
        ]),
    ),
    (
        "4.4.1.5",
        "a client's site that is somebody else's",
        Shown(&["registration::redirect_uris_that_could_lead_a_code_astray_are_refused"]),
    ),
    (
        "4.4.1.6",
        "a code that opens the person's session at the client",
        Shown(&[
            "registration::redirect_uris_that_could_lead_a_code_astray_are_refused",
            "threats::attacks::a_code_from_another_session_is_no_use",
        ]),
    ),
    (
        "4.4.1.7",
        "a code that was made for a counterfeit client",
        Shown(&["token_exchange::a_mistake_burns_nothing"]),
    ),
    (
        "4.4.1.8",
        "the attacker's code in the victim's session",
        Shown(&[
            "authorization::the_state_comes_back_byte_for_byte",
            "threats::attacks::a_code_from_another_session_is_no_use",
        ]),
    ),
    (
        "4.4.1.9",
        "our pages inside somebody else's",
        Shown(&["threats::attacks::pages_cannot_be_framed_and_tell_nobody_where_they_were"]),
    ),
    (
        "4.4.1.10",
        "a program that presses the buttons for the person",
        Shown(&[
            "consent::an_answer_without_the_browsers_token_is_refused",
            "consent::an_answer_from_another_site_is_refused_even_with_the_token",
            "consent::another_browser_cannot_answer_for_this_one",
        ]),
    ),
    (
        "4.4.1.11",
        "requests without end",
        Shown(&[
            "consent::the_number_of_open_questions_is_bounded",
            "registration_limits::over_the_cap_the_oldest_client_that_nobody_allowed_gives_way",
            "pushed_authorization::one_address_cannot_push_without_end",
        ]),
    ),
    (
        "4.4.1.12",
        "codes that were made up, without end",
        Shown(&[
            "token_limits::an_address_that_guesses_has_to_wait_and_no_other_does",
            "token_exchange::a_spent_code_in_the_hands_of_a_stranger_takes_nothing_back",
        ]),
    ),
    (
        "4.4.1.13",
        "a code of another client, to sign in with",
        Shown(&[
            "token_exchange::a_mistake_burns_nothing",
            "threats::attacks::a_code_from_another_session_is_no_use",
        ]),
    ),
    (
        "4.4.2.1",
        "a token in a fragment, leaked",
        NO_IMPLICIT_GRANT,
    ),
    (
        "4.4.2.2",
        "a token in a fragment, in the history",
        NO_IMPLICIT_GRANT,
    ),
    (
        "4.4.2.3",
        "a token in a fragment, for a malicious client",
        NO_IMPLICIT_GRANT,
    ),
    (
        "4.4.2.4",
        "a token in a fragment, for a foreign script",
        NO_IMPLICIT_GRANT,
    ),
    (
        "4.4.2.5",
        "a token in a fragment that nobody asked for",
        NO_IMPLICIT_GRANT,
    ),
    (
        "4.4.2.6",
        "a token in a fragment that was another client's",
        NO_IMPLICIT_GRANT,
    ),
    (
        "4.4.3.1",
        "a password that a client keeps",
        NO_PASSWORD_GRANT,
    ),
    (
        "4.4.3.2",
        "a password that yields more than was meant",
        NO_PASSWORD_GRANT,
    ),
    (
        "4.4.3.3",
        "a password that yields refresh tokens unasked",
        NO_PASSWORD_GRANT,
    ),
    ("4.4.3.4", "a password, overheard", ENCRYPTED),
    (
        "4.4.3.5",
        "passwords, from the database",
        NotOurs("The one passcode is in the configuration, and the store has none."),
    ),
    (
        "4.4.3.6",
        "a password, guessed",
        Shown(&[
            "login::guessing_from_one_address_ends_after_ten_failures_and_may_go_on_later",
            "login::guessing_from_many_addresses_ends_too",
            "users::only_failures_count_against_guessing",
            "users::users_who_are_not_there_take_as_long_as_those_who_are",
        ]),
    ),
    (
        "4.4.4",
        "a client that acts on an authority that it has not got",
        Shown(&[
            "client_credentials::who_was_not_set_up_for_it_has_no_authority_of_its_own",
            "client_credentials::without_the_secret_there_is_no_token",
        ]),
    ),
    ("4.5.1", "refresh tokens, overheard", ENCRYPTED),
    ("4.5.2", "refresh tokens, from the database", ONLY_DIGESTS),
    (
        "4.5.3",
        "a refresh token, guessed",
        Shown(&[
            "threats::attacks::what_is_handed_out_cannot_be_guessed",
            "refresh_rotation::what_is_not_a_refresh_token_is_an_invalid_grant",
            "refresh_rotation::a_refresh_token_is_good_for_its_client_alone",
        ]),
    ),
    (
        "4.5.4",
        "a server that only looks like this one",
        NotOurs("Clients know this one by its name and the certificate for it."),
    ),
    (
        "4.6.1",
        "access tokens, overheard on their way to the resource",
        ENCRYPTED,
    ),
    (
        "4.6.2",
        "a request that is sent again",
        Shown(&["dpop::a_proof_is_good_for_one_request"]),
    ),
    (
        "4.6.3",
        "an access token, guessed",
        Shown(&[
            "threats::attacks::what_is_handed_out_cannot_be_guessed",
            "bearer_challenges::tokens_that_are_not_ours_are_invalid",
        ]),
    ),
    (
        "4.6.4",
        "a resource server that is not the one it seems to be",
        Shown(&[
            "authorization::any_other_resource_is_an_invalid_target",
            "dpop::whoever_finds_a_bound_token_can_do_nothing_with_it",
        ]),
    ),
    (
        "4.6.5",
        "a client or resource server that uses a token for something else",
        Shown(&[
            "bearer_challenges::a_token_is_good_for_the_server_it_was_issued_for",
            "introspection::a_client_is_told_of_its_own_tokens_alone",
            "scopes::a_call_that_needs_more_names_the_scope_before_any_stream_opens",
        ]),
    ),
    (
        "4.6.6",
        "what a proxy keeps",
        Shown(&[
            "bearer_challenges::tokens_outside_the_header_do_not_count",
            "token_exchange::a_code_becomes_tokens_that_open_the_endpoint",
        ]),
    ),
    (
        "4.6.7",
        "tokens in logs and in the Referer",
        Shown(&[
            "process::logs::nothing_secret_is_logged_even_when_everything_is",
            "bearer_challenges::tokens_outside_the_header_do_not_count",
            "threats::attacks::pages_cannot_be_framed_and_tell_nobody_where_they_were",
        ]),
    ),
];
