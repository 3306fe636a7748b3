BEGIN;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE container (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created    INTEGER NOT NULL,            -- nanoseconds since 1970, as all times
    record     TEXT NOT NULL,               -- JSON: what it is; only an update changes it
    status     TEXT NOT NULL,               -- Docker's word
    exit_code  INTEGER NOT NULL DEFAULT 0,
    error      TEXT NOT NULL DEFAULT '',
    oom_killed INTEGER NOT NULL DEFAULT 0,
    started    INTEGER,
    finished   INTEGER
) STRICT;
-- From the moment a VM's user id is taken until nothing of the VM is left.
CREATE TABLE vm (
    container   TEXT PRIMARY KEY REFERENCES container (id) ON DELETE CASCADE,
    uid         INTEGER NOT NULL UNIQUE,
    pid         INTEGER,
    start_ticks INTEGER,
    boot        TEXT,
    log_base    INTEGER NOT NULL DEFAULT 0  -- where this run's lines begin in the log
) STRICT;
CREATE TABLE exec (
    id        TEXT PRIMARY KEY,
    container TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
    read      INTEGER NOT NULL DEFAULT 0    -- how far its output has been read
) STRICT;
PRAGMA user_version = 1;
COMMIT;
