-- From version 1 to 2: what restart policies have done.
BEGIN;
ALTER TABLE container ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;  -- since a user started it
ALTER TABLE container ADD COLUMN by_hand  INTEGER NOT NULL DEFAULT 0;  -- a user sent it a signal since
PRAGMA user_version = 2;
COMMIT;
