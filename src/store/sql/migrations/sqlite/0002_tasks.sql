-- Calls that go on after their answer. What their owners are told is written before they are.

CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    -- As JSON.
    described TEXT NOT NULL,
    -- The higher, the newer.
    version INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    -- The process that works on it, and until when it is believed to be there.
    runner TEXT NOT NULL,
    alive_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tasks_of_runner ON tasks (runner) WHERE finished = 0;
CREATE INDEX tasks_by_end ON tasks (expires_at);
