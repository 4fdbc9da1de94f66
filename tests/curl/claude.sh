#!/usr/bin/env bash
# How Claude's web app connects to a remote MCP server, request by request, from the moment somebody
# pastes the URL to the first tool call. The bodies are those that Claude sends.
#
#   tests/curl/claude.sh http://localhost:4000 PASSCODE

. "$(dirname "$0")/lib.sh"

initialize='{
  "method": "initialize",
  "params": {
    "protocolVersion": "2024-11-05",
    "capabilities": {},
    "clientInfo": {"name": "claude-ai", "version": "0.1.0"}
  },
  "jsonrpc": "2.0",
  "id": 0
}'
oauth=(--user-agent 'python-httpx/0.28') # two programs at the other end: one for OAuth …
claude=(--user-agent 'Claude-User')      # … and one for MCP

say "adding the connector: Claude tries to initialize and is told where to find out more"
mcp "$initialize" "${claude[@]}"
expect_status 401
expect_header WWW-Authenticate '^Bearer '
expect_header WWW-Authenticate "resource_metadata=\"$base/.well-known/oauth-protected-resource"
expect_header Content-Type '^application/json'
resource_metadata=$(header WWW-Authenticate | sed -E 's/.*resource_metadata="([^"]*)".*/\1/')

say "the same for the event stream"
http GET "$base/mcp" "${claude[@]}" --header 'Accept: text/event-stream'
expect_status 401
expect_header WWW-Authenticate resource_metadata

say "connecting: the resource names its authorization server"
http GET "$resource_metadata" "${oauth[@]}"
expect_status 200
expect_same "the resource" "$base/mcp" "$(member resource)"
expect_body "\"authorization_servers\": *\[ *\"$base\" *\]"

say "the authorization server names its endpoints"
http GET "$base/.well-known/oauth-authorization-server" "${oauth[@]}"
expect_status 200
expect_same "the issuer" "$base" "$(member issuer)"
registration_endpoint=$(member registration_endpoint)
authorization_endpoint=$(member authorization_endpoint)
token_endpoint=$(member token_endpoint)
expect_body '"code_challenge_methods_supported": *\[ *"S256" *\]'

say "registration: a public client, with a scope of its own that the server need not know"
http POST "$registration_endpoint" "${oauth[@]}" --header 'Content-Type: application/json' --data '{
  "client_name": "claudeai",
  "grant_types": ["authorization_code", "refresh_token"],
  "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
  "response_types": ["code"],
  "scope": "claudeai",
  "token_endpoint_auth_method": "none"
}'
expect_status 201
expect_header Cache-Control no-store
refuse_body '"client_secret"'
refuse_body ': *null'
client_id=$(member client_id)
redirect_uri=https://claude.ai/api/mcp/auth_callback

say "the browser is sent to the authorization endpoint; its user signs in and allows"
expect_same "the authorization endpoint" "$base/authorize" "$authorization_endpoint"
new_pkce
authorize \
  "client_id=$client_id" \
  "code_challenge=$challenge" \
  "code_challenge_method=S256" \
  "redirect_uri=$redirect_uri" \
  "response_type=code" \
  "scope=claudeai" \
  "state=a state/that+must&come=back"
answer allow
expect_status 303 # never 307: Claude's callback takes GET only
code=$(query code "$callback")
[ -n "$code" ] || fail "a code in $callback"
expect_same "the state" "a state/that+must&come=back" "$(query state "$callback")"
expect_same "the issuer" "$base" "$(query iss "$callback")"

say "the code is exchanged for tokens, in JSON where the standard says form"
http POST "$token_endpoint" "${oauth[@]}" --header 'Content-Type: application/json' --data "{
  \"client_id\": \"$client_id\",
  \"code\": \"$code\",
  \"code_verifier\": \"$verifier\",
  \"grant_type\": \"authorization_code\",
  \"redirect_uri\": \"$redirect_uri\"
}"
keep_tokens
expect_header Cache-Control no-store
expect_same "the token type" Bearer "$(member token_type)"
expect_body '"expires_in": *[0-9]+[,}]'
expect_same "the scope that was granted" mcp "$(member scope)"

say "now initialize is answered, in the version that Claude asked for, with a session"
mcp "$initialize" "${claude[@]}"
expect_status 200
expect_body '"protocolVersion": *"2024-11-05"'
expect_body '"id": *0[,}]'
expect_body '"tools": *\{'
session=$(header Mcp-Session-Id)
[ -n "$session" ] || fail "an Mcp-Session-Id, without which Claude goes no further"

say "Claude is happy"
mcp '{"jsonrpc": "2.0", "method": "notifications/initialized"}' "${claude[@]}"
expect_status 202

say "it asks for tools, prompts and resources, whatever was declared"
mcp '{"id": 1, "jsonrpc": "2.0", "method": "tools/list", "params": {}}' "${claude[@]}"
expect_status 200
expect_body '"name": *"best_person_looker_upper"'
expect_body '"required": *\[ *"startsWith" *\]'
mcp '{"id": 2, "jsonrpc": "2.0", "method": "prompts/list", "params": {}}' "${claude[@]}"
expect_status 200
expect_body '"prompts": *\[ *\]'
mcp '{"id": 3, "jsonrpc": "2.0", "method": "resources/list", "params": {}}' "${claude[@]}"
expect_status 200
expect_body '"resources": *\[ *\]'

say "who is the best person whose name starts with A?"
mcp '{"id": 4, "jsonrpc": "2.0", "method": "tools/call",
      "params": {"name": "best_person_looker_upper", "arguments": {"startsWith": "A"}}}' "${claude[@]}"
expect_status 200
expect_body '"text": *"[^"]*Ada Lovelace'

say "the session is ended, and unknown from then on"
http DELETE "$base/mcp" "${claude[@]}" \
  --header "Authorization: Bearer $access_token" --header "Mcp-Session-Id: $session"
expect_status '20[04]'
mcp '{"id": 5, "jsonrpc": "2.0", "method": "tools/list"}' "${claude[@]}"
expect_status 404

echo "Claude's whole dance: ok"
