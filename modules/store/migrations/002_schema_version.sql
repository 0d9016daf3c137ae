-- SQLite's own number of the schema (PRAGMA schema_version) as it was when the epoch began: migrate and whoever begins an epoch write it
-- here. Any other number means that the schema was changed by something else, and that the triggers may have been off for a while.
ALTER TABLE clock ADD COLUMN schema_version INTEGER NOT NULL DEFAULT 0;
