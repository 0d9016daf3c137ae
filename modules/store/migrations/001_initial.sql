-- Times are microseconds since 1970 UTC. An id is never given out twice (AUTOINCREMENT): it may be in a counter, a log or a link.

-- The change clock. One row; seq counts changed rows, epoch names this history of the database, nonce is renewed with each change.
CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    nonce INTEGER NOT NULL
) STRICT;
INSERT INTO clock (id, seq, epoch, nonce) VALUES (1, 0, 0, random());

-- What changed last, and when by the clock. Written by the triggers and by WriteTransaction::touch.
CREATE TABLE change (
    tag TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX change_by_seq ON change (seq);

CREATE TABLE user (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE,
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL UNIQUE,  -- hexadecimal
    user INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    label TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX token_by_user ON token (user);

CREATE TABLE post (
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
    source_path TEXT UNIQUE,  -- where it was imported from: the file, its hash, and when. Edited here since if updated_at is later.
    source_hash TEXT,
    imported_at INTEGER,
    body TEXT NOT NULL  -- last: what reads only the columns before it never loads the pages it fills
) STRICT;
CREATE INDEX post_by_time ON post (status, published_at);

CREATE TABLE post_author (
    post INTEGER NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES user (id),  -- who has posts can't be deleted
    position INTEGER NOT NULL,
    PRIMARY KEY (post, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX post_author_by_user ON post_author (user, post);

CREATE TABLE tag (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE post_tag (
    post INTEGER NOT NULL REFERENCES post (id) ON DELETE CASCADE,
    tag INTEGER NOT NULL REFERENCES tag (id) ON DELETE CASCADE,
    PRIMARY KEY (post, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX post_tag_by_tag ON post_tag (tag, post);
