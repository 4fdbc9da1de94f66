#!/usr/bin/env bash
# What the server refuses, and how: a page for a person, an error for a client, a challenge for a
# request without a good token.
#
#   tests/curl/refusals.sh http://localhost:4000 PASSCODE

. "$(dirname "$0")/lib.sh"

register http://127.0.0.1:8123/callback
new_pkce
asked=(response_type=code "client_id=$client_id" "state=my state")
pkce=("code_challenge=$challenge" code_challenge_method=S256)

# expect_page: a refusal for the person at the browser; nothing may go to an unproven address.
expect_page() {
  expect_status 400
  expect_header Content-Type '^text/html'
  expect_header Content-Security-Policy "default-src 'none'"
  expect_same "the Location" "" "$(header Location)"
}

# expect_sent_back CODE: a refusal for the client, with its state and our name.
expect_sent_back() {
  expect_status '30[23]'
  callback=$(header Location)
  case $callback in "$redirect_uri"*) ;; *) fail "to be sent back to $redirect_uri" ;; esac
  expect_same "the error" "$1" "$(query error "$callback")"
  expect_same "the state" "my state" "$(query state "$callback")"
  expect_same "the issuer" "$base" "$(query iss "$callback")"
}

say "a redirect URI that was never registered: a page, and no redirect"
authorize "${asked[@]}" "${pkce[@]}" redirect_uri=https://attacker.example/callback
expect_page

say "another path, another host name for this machine: not the same redirect URI either"
authorize "${asked[@]}" "${pkce[@]}" redirect_uri=http://127.0.0.1:8123/other
expect_page
authorize "${asked[@]}" "${pkce[@]}" redirect_uri=http://localhost:8123/callback
expect_page

say "an unknown client: a page, and no redirect"
authorize response_type=code client_id=nobody "redirect_uri=$redirect_uri" "${pkce[@]}"
expect_page

say "no PKCE, or PKCE in the plain: back to the client"
authorize "${asked[@]}" "redirect_uri=$redirect_uri"
expect_sent_back invalid_request
authorize "${asked[@]}" "redirect_uri=$redirect_uri" "code_challenge=$challenge" code_challenge_method=plain
expect_sent_back invalid_request

say "a token for somebody else's resource: back to the client"
authorize "${asked[@]}" "redirect_uri=$redirect_uri" "${pkce[@]}" resource=https://other.example/mcp
expect_sent_back invalid_target

say "another response type: back to the client"
authorize response_type=token "client_id=$client_id" "state=my state" "redirect_uri=$redirect_uri" "${pkce[@]}"
expect_sent_back unsupported_response_type

say "the person says no: back to the client"
authorize "${asked[@]}" "redirect_uri=$redirect_uri" "${pkce[@]}"
answer deny
expect_sent_back access_denied

say "no token: 401 with a challenge, whatever the method"
for method in POST GET DELETE PUT; do
  http "$method" "$base/mcp"
  expect_status 401
  expect_header WWW-Authenticate "^Bearer .*resource_metadata=\"$base/.well-known/oauth-protected-resource"
  expect_header WWW-Authenticate 'scope="mcp"'
  expect_header Content-Type '^application/json'
  expect_same "an error in the challenge" "" "$(header WWW-Authenticate | grep -o 'error=' || true)"
done
http HEAD "$base/mcp" --head
expect_status 401
expect_header WWW-Authenticate resource_metadata

say "a token that is none: the challenge says so"
access_token=nonsense
initialize
expect_status 401
expect_header WWW-Authenticate 'error="invalid_token"'
expect_header WWW-Authenticate 'error_description='
expect_header WWW-Authenticate 'resource_metadata='
expect_same "the error" invalid_token "$(member error)"

say "a good token, but in the query: it counts for nothing there"
connect
initialize
expect_status 200
good_token=$access_token
access_token=
http POST "$base/mcp?access_token=$good_token" --header 'Content-Type: application/json' --data '{}'
expect_status 401

say "a page of another origin, a request for another host: 403, good token or not"
for access_token in "$good_token" ""; do
  mcp '{}' --header 'Origin: https://attacker.example'
  expect_status 403
  mcp '{}' --header 'Origin: null'
  expect_status 403
  mcp '{}' --header 'Host: attacker.example'
  expect_status 403
done

say "an MCP session that nobody has: 404, so that the client begins again"
access_token=$good_token session=unknown
mcp '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
expect_status 404
session=

say "an unknown client at the token endpoint: 401, so that the client registers again"
token grant_type=authorization_code code=none "code_verifier=$verifier" \
  "redirect_uri=$redirect_uri" client_id=nobody
expect_error 401 invalid_client

say "a code and a refresh token that are none"
token grant_type=authorization_code code=none "code_verifier=$verifier" \
  "redirect_uri=$redirect_uri" "client_id=$client_id"
expect_error 400 invalid_grant
expect_header Cache-Control no-store
refresh none
expect_error 400 invalid_grant

say "grants that we do not have"
token grant_type=password username=owner "password=$passcode" "client_id=$client_id"
expect_error 400 unsupported_grant_type

say "redirect URIs that must not be registered"
for uri in 'javascript:alert(1)' 'http://public.example/callback' 'https://a.example/cb#part' '/callback'; do
  http POST "$base/register" --header 'Content-Type: application/json' \
    --data "{\"redirect_uris\": [\"$uri\"], \"token_endpoint_auth_method\": \"none\"}"
  expect_error 400 invalid_redirect_uri
done

say "well-known documents that we do not have: 404 in JSON, never a page"
for name in openid-configuration oauth-authorization-server/elsewhere nothing; do
  http GET "$base/.well-known/$name"
  expect_status 404
  expect_header Content-Type '^application/json'
done

echo "refusals: ok"
