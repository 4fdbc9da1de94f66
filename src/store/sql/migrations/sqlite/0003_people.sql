-- People who sign in with a name and a password.
CREATE TABLE users (
    name TEXT NOT NULL PRIMARY KEY,
    -- With salt and parameters, in the PHC string format.
    password TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is begun on behalf of one of them ends with them.
ALTER TABLE browser_sessions ADD COLUMN member TEXT REFERENCES users (name) ON DELETE CASCADE;
CREATE INDEX browser_sessions_of_member ON browser_sessions (member) WHERE member IS NOT NULL;
ALTER TABLE codes ADD COLUMN member TEXT REFERENCES users (name) ON DELETE CASCADE;
CREATE INDEX codes_of_member ON codes (member) WHERE member IS NOT NULL;
CREATE INDEX grants_of_user ON grants (user_id);
CREATE INDEX consents_of_user ON consents (user_id);

-- Browsers on their way to an identity provider and back.
CREATE TABLE departures (
    state BLOB NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    browser BLOB NOT NULL,
    return_to TEXT NOT NULL,
    -- What the person allowed before they left.
    allowed TEXT,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX departures_by_end ON departures (expires_at);

-- What identity providers say of people.
CREATE TABLE profiles (
    user_id TEXT NOT NULL PRIMARY KEY,
    name TEXT,
    email TEXT
) STRICT, WITHOUT ROWID;

-- What identity providers gave for people, sealed.
CREATE TABLE links (
    user_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    -- Counts what was there.
    version INTEGER NOT NULL,
    -- Which of the server's keys sealed it.
    key_generation INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    -- Until when somebody is about to replace it.
    claimed_until INTEGER,
    PRIMARY KEY (user_id, provider)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_key ON links (key_generation);
