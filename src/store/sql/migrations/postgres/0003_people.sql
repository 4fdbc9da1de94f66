-- People who sign in with a name and a password.
CREATE TABLE users (
    name TEXT PRIMARY KEY,
    -- With salt and parameters, in the PHC string format.
    password TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- What is begun on behalf of one of them ends with them.
ALTER TABLE browser_sessions ADD COLUMN member TEXT REFERENCES users (name) ON DELETE CASCADE;
CREATE INDEX browser_sessions_of_member ON browser_sessions (member) WHERE member IS NOT NULL;
ALTER TABLE codes ADD COLUMN member TEXT REFERENCES users (name) ON DELETE CASCADE;
CREATE INDEX codes_of_member ON codes (member) WHERE member IS NOT NULL;
CREATE INDEX grants_of_user ON grants (user_id);
CREATE INDEX consents_of_user ON consents (user_id);

-- Browsers on their way to an identity provider and back.
CREATE TABLE departures (
    state BYTEA PRIMARY KEY,
    provider TEXT NOT NULL,
    browser BYTEA NOT NULL,
    return_to TEXT NOT NULL,
    -- What the person allowed before they left.
    allowed TEXT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX departures_by_end ON departures (expires_at);

-- What identity providers say of people.
CREATE TABLE profiles (
    user_id TEXT PRIMARY KEY,
    name TEXT,
    email TEXT
);

-- What identity providers gave for people, sealed.
CREATE TABLE links (
    user_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    -- Counts what was there.
    version BIGINT NOT NULL,
    -- Which of the server's keys sealed it.
    key_generation BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    -- Until when somebody is about to replace it.
    claimed_until BIGINT,
    PRIMARY KEY (user_id, provider)
);
CREATE INDEX links_by_key ON links (key_generation);
