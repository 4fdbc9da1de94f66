#!/usr/bin/env bash
# Refreshing: every refresh token is used once, and yet a lost answer, two machines or ten processes
# with the same token do no harm, because for a while they are all given the same answer again.
#
#   tests/curl/refresh.sh http://localhost:4000 PASSCODE [GRACE_SECONDS]
#
# Waits until REFRESH_GRACE is over: start the server with a short one (REFRESH_GRACE=8s) and say it.

. "$(dirname "$0")/lib.sh"
grace=${3:-${GRACE_SECONDS:-120}}

connect
first=$refresh_token
first_access=$access_token

say "a refresh gives a new access token and a new refresh token"
refresh "$first"
keep_tokens
expect_header Cache-Control no-store
expect_same "the token type" Bearer "$(member token_type)"
expect_other "the access token" "$first_access" "$access_token"
expect_other "the refresh token" "$first" "$refresh_token"

say "the new access token works"
initialize
expect_status 200

say "the answer was lost: the same refresh token is given the same answer again, ten times at once"
for caller in 1 2 3 4 5 6 7 8 9 10; do
  (
    work=$(mktemp -d "$work/caller.XXXXXX")
    refresh "$first"
    expect_status 200
    echo "$(member access_token) $(member refresh_token)" >"$work/../answer.$caller"
  ) &
done
wait
expect_same "the number of answers" 10 "$(find "$work" -name 'answer.*' | wc -l | tr -d ' ')"
expect_same "every caller's answer" "$access_token $refresh_token" "$(sort -u "$work"/answer.*)"

say "after the grace (${grace}s) a used refresh token is a stolen one"
sleep $((grace + 1))
refresh "$first"
expect_error 400 invalid_grant

say "and what grew from it is dead"
refresh "$refresh_token"
expect_error 400 invalid_grant
initialize
expect_status 401
expect_header WWW-Authenticate 'error="invalid_token"'

echo "refreshing: ok"
