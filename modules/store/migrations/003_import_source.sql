-- The same path may come from several folders: what a post was imported from is its source and the path in it. SQLite can't drop the UNIQUE
-- of a column, so the table is made anew. Posts of before get the source '': it isn't known; the next import of their folder gives it.
CREATE TABLE new_post (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    slug TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    excerpt TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'published', 'archived')),
    published_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    language TEXT NOT NULL DEFAULT '',
    extra TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(extra)),  -- front matter that Recto doesn't know
    source TEXT,       -- what it was imported from: the folder or the name given to it, the file's path in it, its hash, and when.
    source_path TEXT,  -- Edited here since if updated_at is later.
    source_hash TEXT,
    imported_at INTEGER,
    body TEXT NOT NULL,  -- last: a query that reads only the columns before it never loads the pages it fills
    UNIQUE (source, source_path)
) STRICT;
INSERT INTO new_post (id, slug, title, excerpt, status, published_at, created_at, updated_at, language, extra, source, source_path,
                      source_hash, imported_at, body)
    SELECT id, slug, title, excerpt, status, published_at, created_at, updated_at, language, extra, iif(source_path IS NULL, NULL, ''),
           source_path, source_hash, imported_at, body FROM post;
-- An id of a deleted post isn't given out again.
DELETE FROM sqlite_sequence WHERE name = 'new_post';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_post', seq FROM sqlite_sequence WHERE name = 'post';
DROP TABLE post;
ALTER TABLE new_post RENAME TO post;
CREATE INDEX post_by_time ON post (status, published_at);
