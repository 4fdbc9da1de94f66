-- Where a grant was begun, as far as it could be told: its person sees it.
ALTER TABLE grants ADD COLUMN address TEXT;
ALTER TABLE grants ADD COLUMN device TEXT;

-- The tools that grants were used for.
CREATE TABLE grant_tools (
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    tool TEXT NOT NULL,
    PRIMARY KEY (grant_id, tool)
) STRICT, WITHOUT ROWID;

-- When people looked at what they have connected, and when the time before.
CREATE TABLE visits (
    user_id TEXT NOT NULL PRIMARY KEY,
    last_seen_at INTEGER NOT NULL,
    before INTEGER
) STRICT, WITHOUT ROWID;

-- All browsers of a person can be signed out at once.
CREATE INDEX browser_sessions_of_user ON browser_sessions (user_id);
