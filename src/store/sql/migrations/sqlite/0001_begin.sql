-- Times are milliseconds since the Unix epoch. Secrets are there as SHA-256 digests, and never
-- otherwise; the keys of the server itself are the exception.

CREATE TABLE clients (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    secret BLOB,
    registration_token BLOB,
    issued_at INTEGER NOT NULL,
    fresh_until INTEGER,
    declined_refresh_tokens INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    -- 1 from the first authorization on: such a client is kept for good.
    proven INTEGER NOT NULL
) STRICT;
CREATE INDEX clients_strangers ON clients (seq) WHERE proven = 0;

-- Authorization requests: kind 0 waits for a person, kind 1 was pushed by a client.
CREATE TABLE requests (
    kind INTEGER NOT NULL,
    id BLOB NOT NULL,
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    browser BLOB,
    request TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (kind, id)
) STRICT;
CREATE INDEX requests_by_age ON requests (kind, seq);
CREATE INDEX requests_by_end ON requests (expires_at);

CREATE TABLE codes (
    digest BLOB NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    code TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    -- The grant that its redemption began.
    redeemed TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_by_end ON codes (expires_at);
CREATE INDEX codes_of_client ON codes (client_id);

CREATE TABLE consents (
    digest BLOB NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX consents_of_client ON consents (client_id, user_id);

CREATE TABLE grants (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    resource TEXT NOT NULL,
    jkt TEXT,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    -- No token of it lasts longer.
    ends_at INTEGER NOT NULL,
    -- How many tokens there have been.
    access_count INTEGER NOT NULL,
    refresh_count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_of_client ON grants (client_id);
CREATE INDEX grants_by_end ON grants (ends_at);

CREATE TABLE access_tokens (
    digest BLOB NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    scopes TEXT NOT NULL,
    resource TEXT NOT NULL,
    jkt TEXT,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_tokens_of_grant ON access_tokens (grant_id, number);
CREATE INDEX access_tokens_by_end ON access_tokens (expires_at);

CREATE TABLE refresh_tokens (
    digest BLOB NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    predecessor BLOB,
    -- Set when it is used: until when it yields this answer again.
    repeatable_until INTEGER,
    answer BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_of_grant ON refresh_tokens (grant_id, number);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);
CREATE INDEX refresh_tokens_answered ON refresh_tokens (repeatable_until) WHERE answer IS NOT NULL;

CREATE TABLE browser_sessions (
    id BLOB NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX browser_sessions_by_end ON browser_sessions (expires_at);

CREATE TABLE mcp_sessions (
    id BLOB NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    protocol_version TEXT NOT NULL,
    client_capabilities INTEGER NOT NULL,
    log_level INTEGER,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX mcp_sessions_of_owner ON mcp_sessions (client_id, user_id, expires_at);
CREATE INDEX mcp_sessions_by_end ON mcp_sessions (expires_at);

-- What sessions want to know of. Addresses are bytes, because clients may write anything, and told
-- apart by their digests, because they may be long.
CREATE TABLE mcp_subscriptions (
    session_id BLOB NOT NULL REFERENCES mcp_sessions (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    uri BLOB NOT NULL,
    PRIMARY KEY (session_id, digest)
) STRICT, WITHOUT ROWID;

-- What sessions' streams have sent.
CREATE TABLE mcp_streams (
    session_id BLOB NOT NULL REFERENCES mcp_sessions (id) ON DELETE CASCADE,
    stream INTEGER NOT NULL,
    request TEXT,
    finished INTEGER NOT NULL,
    last_event_at INTEGER NOT NULL,
    PRIMARY KEY (session_id, stream)
) STRICT, WITHOUT ROWID;
CREATE INDEX mcp_streams_by_age ON mcp_streams (last_event_at);

CREATE TABLE mcp_events (
    session_id BLOB NOT NULL,
    stream INTEGER NOT NULL,
    number INTEGER NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (session_id, stream, number),
    FOREIGN KEY (session_id, stream) REFERENCES mcp_streams ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What replicas tell each other and is too long to be announced.
CREATE TABLE letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX letters_by_end ON letters (until);

-- What must not be used a second time.
CREATE TABLE replays (
    key BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_by_end ON replays (until);

-- Keys of the server itself, the same on every replica.
CREATE TABLE server_keys (
    name TEXT NOT NULL PRIMARY KEY,
    key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Who does what only one replica should do at a time.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
