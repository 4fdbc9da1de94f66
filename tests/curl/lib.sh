# What the flows share: one way to make a request, a few ways to look at the answer, and a person at
# the sign-in and consent pages. Sourced as `. lib.sh "$@"`; BASE_URL and PASSCODE come from the
# script's two arguments or from the environment.

set -euo pipefail

base=${1:-${BASE_URL:-http://localhost:4000}}
base=${base%/}
passcode=${2:-${PASSCODE:-}}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "$passcode" ]; then
  echo "usage: $0 BASE_URL PASSCODE   (or set BASE_URL and PASSCODE)" >&2
  exit 2
fi

# say TEXT: names the step that follows.
say() { printf -- '- %s\n' "$*"; }

# fail EXPECTED: says what was expected and what came instead, and ends the script.
fail() {
  {
    printf '\nexpected %s\nby %s\nbut there came:\n' "$1" "${request:-no request}"
    cat "$work/head" "$work/body" 2>/dev/null
    echo
  } >&2
  exit 1
}

# http METHOD URL [CURL ARGUMENT…]: one request, never following a redirect. Leaves the status in
# $status and the answer's head and body in files.
http() {
  local method=$1 url=$2
  shift 2
  request="$method $url"
  : >"$work/body"
  status=$(curl --silent --show-error --max-time 20 --request "$method" "$@" \
    --dump-header "$work/head" --output "$work/body" --write-out '%{http_code}' "$url") ||
    fail "an answer from $base"
}

# header NAME: the value of one header of the last answer.
header() { tr -d '\r' <"$work/head" | { grep -i "^$1:" || true; } | tail -n 1 | sed 's/^[^:]*: *//'; }

# member NAME: a string or a number of the last answer's JSON.
member() { tr -d '\n' <"$work/body" | sed -nE "s/.*\"$1\" *: *\"?([^\",}]*).*/\1/p"; }

# query NAME URL: one decoded parameter of a URL.
query() {
  local value
  value=$(printf '%s' "${2#*\?}" | tr '&' '\n' | sed -n "s/^$1=//p" | sed 's/+/ /g; s/%/\\x/g')
  printf '%b' "$value"
}

expect_status() { [[ $status =~ ^($1)$ ]] || fail "status $1"; }
expect_header() { header "$1" | grep -Eqi -- "$2" || fail "header $1 to match $2"; }
expect_body() { grep -Eq -- "$1" "$work/body" || fail "a body that matches $1"; }
refuse_body() { ! grep -Eq -- "$1" "$work/body" || fail "a body without $1"; }
expect_same() { [ "$2" = "$3" ] || fail "$1 to be “$2”, not “$3”"; }
expect_other() { [ "$2" != "$3" ] || fail "$1 to change from “$2”"; }

# expect_error STATUS CODE: an error in the manner of RFC 6749 §5.2.
expect_error() {
  expect_status "$1"
  expect_header Content-Type '^application/json'
  expect_same "the error code" "$2" "$(member error)"
}

# new_pkce: a fresh $verifier and its S256 $challenge (RFC 7636).
new_pkce() {
  verifier=$(openssl rand -hex 32)
  challenge=$(printf '%s' "$verifier" | openssl dgst -sha256 -binary | openssl base64 -A |
    tr '+/' '-_' | tr -d '=')
}

# mcp BODY [CURL ARGUMENT…]: one JSON-RPC message to the MCP endpoint, with $access_token and
# $session where they are set.
mcp() {
  local body=$1
  shift
  http POST "$base/mcp" \
    --header 'Content-Type: application/json' \
    --header 'Accept: application/json, text/event-stream' \
    ${access_token:+--header "Authorization: Bearer $access_token"} \
    ${session:+--header "Mcp-Session-Id: $session"} \
    "$@" --data "$body"
}

# token PARAMETER…: a form post to the token endpoint, one name=value per argument.
token() {
  local parameters=() parameter
  for parameter; do parameters+=(--data-urlencode "$parameter"); done
  http POST "$base/token" "${parameters[@]}"
}

# register REDIRECT_URI: a new public client; leaves $client_id and $redirect_uri.
register() {
  redirect_uri=$1
  http POST "$base/register" --header 'Content-Type: application/json' --data "{
    \"client_name\": \"curl\",
    \"redirect_uris\": [\"$redirect_uri\"],
    \"grant_types\": [\"authorization_code\", \"refresh_token\"],
    \"response_types\": [\"code\"],
    \"token_endpoint_auth_method\": \"none\"
  }"
  expect_status 201
  client_id=$(member client_id)
}

# authorize PARAMETER…: opens the authorization endpoint as the browser would, in a browser of its
# own that has never been here. Works with $client_id and $redirect_uri unless told otherwise.
authorize() {
  local parameters=() parameter
  for parameter; do parameters+=(--data-urlencode "$parameter"); done
  jar="$work/cookies.$RANDOM$RANDOM"
  http GET "$base/authorize" --get --cookie-jar "$jar" "${parameters[@]}"
}

# answer DECISION: walks from the authorization endpoint's answer over the sign-in page and the
# consent page to the client's redirect URI, which it leaves in $callback.
answer() {
  local decision=$1 location page="$base/authorize" signed_in= step
  for step in 1 2 3 4 5 6 7 8; do
    if [[ $status == 30[1-3] ]]; then
      location=$(header Location)
      case $location in
        "$redirect_uri"*) callback=$location && return ;;
        /*) page=$base$location ;;
        *) page=$location ;;
      esac
      http GET "$page" --cookie "$jar" --cookie-jar "$jar"
    elif [ "$status" = 200 ] && grep -q 'type="password"' "$work/body"; then
      [ -z "$signed_in" ] || fail "the passcode to be accepted"
      signed_in=yes
      submit "$page" "password=$passcode"
    elif [ "$status" = 200 ] && grep -q 'name="decision"' "$work/body"; then
      submit "$page" "decision=$decision"
    else
      fail "the sign-in page, the consent page or the way back to the client"
    fi
  done
  fail "to be back at the client within $step steps"
}

# submit PAGE NAME=VALUE: sends the form of the page just read, its fields as they stand and one
# more, as a browser does when the button is pressed.
submit() {
  local page=$1 filled=$2 tag name value action
  local fields=(--data-urlencode "$filled")
  while read -r tag; do
    name=$(attribute name "$tag")
    value=$(attribute value "$tag")
    [ "$name" = username ] && value=${value:-owner}
    [ -z "$name" ] || [ "$name" = "${filled%%=*}" ] || fields+=(--data-urlencode "$name=$value")
  done < <(tr '\n' ' ' <"$work/body" | grep -o '<input [^>]*>')
  action=$(attribute action "$(tr '\n' ' ' <"$work/body" | grep -o '<form [^>]*>' | head -n 1)")
  case $action in
    '') action=$page ;;
    /*) action=$base$action ;;
  esac
  http POST "$action" --cookie "$jar" --cookie-jar "$jar" --header "Origin: $base" "${fields[@]}"
}

# attribute NAME TAG: the value of a tag's attribute, its entities resolved.
attribute() {
  sed -nE "s/.* $1=\"([^\"]*)\".*/\1/p" <<<"$2" |
    sed -E "s/&(quot|#34|#x22);/\"/g; s/&(apos|#39|#x27);/'/g; s/&(lt|#60|#x3c);/</g; s/&(gt|#62|#x3e);/>/g; s/&(amp|#38|#x26);/\&/g"
}

# obtain_code: registers a client and lets a person allow it; leaves $code, with $verifier.
obtain_code() {
  register http://127.0.0.1:8123/callback
  new_pkce
  authorize response_type=code "client_id=$client_id" "redirect_uri=$redirect_uri" \
    "code_challenge=$challenge" code_challenge_method=S256 state=some-state
  answer allow
  code=$(query code "$callback")
  [ -n "$code" ] || fail "a code in $callback"
}

# redeem VERIFIER: presents $code at the token endpoint.
redeem() {
  token grant_type=authorization_code "code=$code" "code_verifier=$1" \
    "redirect_uri=$redirect_uri" "client_id=$client_id"
}

# connect: the whole way to $access_token and $refresh_token.
connect() {
  obtain_code
  redeem "$verifier"
  keep_tokens
}

# refresh REFRESH_TOKEN: presents a refresh token at the token endpoint.
refresh() { token grant_type=refresh_token "refresh_token=$1" "client_id=$client_id"; }

# keep_tokens: takes $access_token and $refresh_token from a token response.
keep_tokens() {
  expect_status 200
  access_token=$(member access_token)
  refresh_token=$(member refresh_token)
  [ -n "$access_token" ] && [ -n "$refresh_token" ] || fail "an access token and a refresh token"
}

# initialize: what every connection begins with.
initialize() {
  mcp '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}'
}
