#!/usr/bin/env bash
# An authorization code is used once. Whoever presents it again, and can prove to be the client that
# it was meant for, shows that two parties hold it: everything that it gave is taken back.
#
#   tests/curl/code_replay.sh http://localhost:4000 PASSCODE

. "$(dirname "$0")/lib.sh"

obtain_code
right=$verifier
new_pkce
wrong=$verifier

say "the wrong verifier gets nothing, and burns nothing"
redeem "$wrong"
expect_error 400 invalid_grant

say "the right one gets tokens, and they work"
redeem "$right"
keep_tokens
initialize
expect_status 200

say "a replay with the wrong verifier is refused, and harms nobody"
redeem "$wrong"
expect_error 400 invalid_grant
initialize
expect_status 200

say "a replay by the client itself is refused too …"
redeem "$right"
expect_error 400 invalid_grant

say "… and the tokens that the code gave are dead"
initialize
expect_status 401
expect_header WWW-Authenticate 'error="invalid_token"'
refresh "$refresh_token"
expect_error 400 invalid_grant

echo "code replay: ok"
