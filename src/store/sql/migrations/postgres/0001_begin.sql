-- Times are milliseconds since the Unix epoch. Secrets are there as SHA-256 digests, and never
-- otherwise; the keys of the server itself are the exception.

CREATE TABLE clients (
    seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    id TEXT PRIMARY KEY,
    secret BYTEA,
    registration_token BYTEA,
    issued_at BIGINT NOT NULL,
    fresh_until BIGINT,
    declined_refresh_tokens BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    -- 1 from the first authorization on: such a client is kept for good.
    proven BIGINT NOT NULL
);
CREATE INDEX clients_strangers ON clients (seq) WHERE proven = 0;

-- Authorization requests: kind 0 waits for a person, kind 1 was pushed by a client.
CREATE TABLE requests (
    kind BIGINT NOT NULL,
    id BYTEA NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    browser BYTEA,
    request TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX requests_by_age ON requests (kind, seq);
CREATE INDEX requests_by_end ON requests (expires_at);

CREATE TABLE codes (
    digest BYTEA PRIMARY KEY,
    client_id TEXT NOT NULL,
    code TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- The grant that its redemption began.
    redeemed TEXT
);
CREATE INDEX codes_by_end ON codes (expires_at);
CREATE INDEX codes_of_client ON codes (client_id);

CREATE TABLE consents (
    digest BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL
);
CREATE INDEX consents_of_client ON consents (client_id, user_id);

CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    resource TEXT NOT NULL,
    jkt TEXT,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    -- No token of it lasts longer.
    ends_at BIGINT NOT NULL,
    -- How many tokens there have been.
    access_count BIGINT NOT NULL,
    refresh_count BIGINT NOT NULL
);
CREATE INDEX grants_of_client ON grants (client_id);
CREATE INDEX grants_by_end ON grants (ends_at);

CREATE TABLE access_tokens (
    digest BYTEA PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    scopes TEXT NOT NULL,
    resource TEXT NOT NULL,
    jkt TEXT,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX access_tokens_of_grant ON access_tokens (grant_id, number);
CREATE INDEX access_tokens_by_end ON access_tokens (expires_at);

CREATE TABLE refresh_tokens (
    digest BYTEA PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    predecessor BYTEA,
    -- Set when it is used: until when it yields this answer again.
    repeatable_until BIGINT,
    answer BYTEA
);
CREATE INDEX refresh_tokens_of_grant ON refresh_tokens (grant_id, number);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_answered ON refresh_tokens (repeatable_until) WHERE answer IS NOT NULL;

CREATE TABLE browser_sessions (
    id BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX browser_sessions_by_end ON browser_sessions (expires_at);

CREATE TABLE mcp_sessions (
    id BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    protocol_version TEXT NOT NULL,
    client_capabilities BIGINT NOT NULL,
    log_level BIGINT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX mcp_sessions_of_owner ON mcp_sessions (client_id, user_id, expires_at);
CREATE INDEX mcp_sessions_by_end ON mcp_sessions (expires_at);

-- What sessions want to know of. Addresses are bytes, because clients may write anything, and told
-- apart by their digests, because they may be long.
CREATE TABLE mcp_subscriptions (
    session_id BYTEA NOT NULL REFERENCES mcp_sessions (id) ON DELETE CASCADE,
    digest BYTEA NOT NULL,
    uri BYTEA NOT NULL,
    PRIMARY KEY (session_id, digest)
);

-- What sessions' streams have sent.
CREATE TABLE mcp_streams (
    session_id BYTEA NOT NULL REFERENCES mcp_sessions (id) ON DELETE CASCADE,
    stream BIGINT NOT NULL,
    request TEXT,
    finished BIGINT NOT NULL,
    last_event_at BIGINT NOT NULL,
    PRIMARY KEY (session_id, stream)
);
CREATE INDEX mcp_streams_by_age ON mcp_streams (last_event_at);

CREATE TABLE mcp_events (
    session_id BYTEA NOT NULL,
    stream BIGINT NOT NULL,
    number BIGINT NOT NULL,
    message BYTEA NOT NULL,
    PRIMARY KEY (session_id, stream, number),
    FOREIGN KEY (session_id, stream) REFERENCES mcp_streams ON DELETE CASCADE
);

-- What replicas tell each other and is too long to be announced.
CREATE TABLE letters (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content TEXT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX letters_by_end ON letters (until);

-- What must not be used a second time.
CREATE TABLE replays (
    key BYTEA PRIMARY KEY,
    until BIGINT NOT NULL
);
CREATE INDEX replays_by_end ON replays (until);

-- Keys of the server itself, the same on every replica.
CREATE TABLE server_keys (
    name TEXT PRIMARY KEY,
    key BYTEA NOT NULL
);

-- Who does what only one replica should do at a time.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);
