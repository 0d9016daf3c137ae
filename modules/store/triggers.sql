-- The triggers that write down what changed, whoever changes it: Recto or a database shell.
--
-- Each adds the tags of the row as it was and as it becomes, one above the clock, then moves the clock if anything was added. So
-- clock.seq is always the largest change.seq. Traps that shaped this text:
--   * The conflict clause of the outer statement (OR IGNORE, OR REPLACE) overrides that of a statement in a trigger, but not ON CONFLICT
--     DO UPDATE: nothing here may say OR REPLACE.
--   * REPLACE removes rows without firing their DELETE triggers (a shell has recursive_triggers off): so before an INSERT or UPDATE
--     the rows it may collide with count as changed. An INSERT OR IGNORE of a row that exists pays for that with a change too many.
--   * UPDATE OF id doesn't fire for SET rowid = …: the update triggers name no columns.
--   * A shell has foreign_keys off: deleting a post doesn't reach its authors and tags, so all is read BEFORE the row goes.
--   * In a BEFORE INSERT trigger a new id isn't known yet; where a tag needs it there is an AFTER trigger too.
--   * One NULL tag would abort the write: filtered.
--   * CROSS JOIN fixes the order of a join: a post's own tags first, whatever SQLite thinks of the size of the tables. And UNION takes an
--     index for each arm: with OR, a source_path that most posts lack (NULL) made SQLite read all posts after an ANALYZE.
-- The program compares these texts with what it finds in the database; while they differ nothing is cached.

-- What depends on a post: every list it is in, and its own page.
CREATE VIEW label_of_post (post, label) AS
    SELECT id, 'post:id=' || id FROM post
    UNION ALL SELECT id, 'post:slug=' || slug FROM post
    UNION ALL SELECT post, 'post:author=' || user FROM post_author
    UNION ALL SELECT post_tag.post, 'post:tag=' || tag.slug FROM post_tag CROSS JOIN tag ON tag.id = post_tag.tag;

CREATE TRIGGER post_before_insert BEFORE INSERT ON post BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT label FROM label_of_post WHERE post IN
            (SELECT id FROM post WHERE id = NEW.id UNION SELECT id FROM post WHERE slug = NEW.slug UNION
             SELECT id FROM post WHERE source = NEW.source AND source_path = NEW.source_path)
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER post_after_insert AFTER INSERT ON post BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'post' AS label
        UNION ALL SELECT label FROM label_of_post WHERE post = NEW.id
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER post_before_update BEFORE UPDATE ON post BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'post' AS label
        UNION ALL SELECT 'post:id=' || NEW.id
        UNION ALL SELECT 'post:slug=' || NEW.slug
        UNION ALL SELECT label FROM label_of_post WHERE post IN
            (SELECT OLD.id UNION SELECT NEW.id UNION
             SELECT id FROM post WHERE slug = NEW.slug UNION SELECT id FROM post WHERE source = NEW.source AND source_path = NEW.source_path)
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER post_before_delete BEFORE DELETE ON post BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'post' AS label
        UNION ALL SELECT label FROM label_of_post WHERE post = OLD.id
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER post_author_after_insert AFTER INSERT ON post_author BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'post' AS label
        UNION ALL SELECT 'post:id=' || NEW.post
        UNION ALL SELECT label FROM label_of_post WHERE post = NEW.post
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER post_author_before_update BEFORE UPDATE ON post_author BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'post' AS label
        UNION ALL SELECT 'post:id=' || OLD.post
        UNION ALL SELECT 'post:id=' || NEW.post
        UNION ALL SELECT 'post:author=' || NEW.user
        UNION ALL SELECT label FROM label_of_post WHERE post IN (OLD.post, NEW.post)
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER post_author_before_delete BEFORE DELETE ON post_author BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'post' AS label
        UNION ALL SELECT 'post:id=' || OLD.post
        UNION ALL SELECT label FROM label_of_post WHERE post = OLD.post
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER post_tag_after_insert AFTER INSERT ON post_tag BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'post' AS label
        UNION ALL SELECT 'post:id=' || NEW.post
        UNION ALL SELECT label FROM label_of_post WHERE post = NEW.post
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER post_tag_before_update BEFORE UPDATE ON post_tag BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'post' AS label
        UNION ALL SELECT 'post:id=' || OLD.post
        UNION ALL SELECT 'post:id=' || NEW.post
        UNION ALL SELECT 'post:tag=' || slug FROM tag WHERE id = NEW.tag
        UNION ALL SELECT label FROM label_of_post WHERE post IN (OLD.post, NEW.post)
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER post_tag_before_delete BEFORE DELETE ON post_tag BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'post' AS label
        UNION ALL SELECT 'post:id=' || OLD.post
        UNION ALL SELECT label FROM label_of_post WHERE post = OLD.post
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER user_before_insert BEFORE INSERT ON user BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'user:id=' || id AS label FROM user WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
        UNION ALL SELECT 'user:slug=' || slug FROM user WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
        UNION ALL SELECT 'user:name=' || name FROM user WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER user_after_insert AFTER INSERT ON user BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'user' AS label
        UNION ALL SELECT 'user:id=' || NEW.id
        UNION ALL SELECT 'user:slug=' || NEW.slug
        UNION ALL SELECT 'user:name=' || NEW.name
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER user_before_update BEFORE UPDATE ON user BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'user' AS label
        UNION ALL SELECT 'user:id=' || OLD.id
        UNION ALL SELECT 'user:slug=' || OLD.slug
        UNION ALL SELECT 'user:name=' || OLD.name
        UNION ALL SELECT 'user:id=' || NEW.id
        UNION ALL SELECT 'user:slug=' || NEW.slug
        UNION ALL SELECT 'user:name=' || NEW.name
        UNION ALL SELECT 'user:id=' || id FROM user WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
        UNION ALL SELECT 'user:slug=' || slug FROM user WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
        UNION ALL SELECT 'user:name=' || name FROM user WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER user_before_delete BEFORE DELETE ON user BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'user' AS label
        UNION ALL SELECT 'user:id=' || OLD.id
        UNION ALL SELECT 'user:slug=' || OLD.slug
        UNION ALL SELECT 'user:name=' || OLD.name
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER tag_before_insert BEFORE INSERT ON tag BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'tag:id=' || id AS label FROM tag WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
        UNION ALL SELECT 'tag:slug=' || slug FROM tag WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
        UNION ALL SELECT 'post:tag=' || slug FROM tag WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER tag_after_insert AFTER INSERT ON tag BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'tag' AS label
        UNION ALL SELECT 'tag:id=' || NEW.id
        UNION ALL SELECT 'tag:slug=' || NEW.slug
        UNION ALL SELECT 'post:tag=' || NEW.slug
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER tag_before_update BEFORE UPDATE ON tag BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'tag' AS label
        UNION ALL SELECT 'tag:id=' || OLD.id
        UNION ALL SELECT 'tag:slug=' || OLD.slug
        UNION ALL SELECT 'post:tag=' || OLD.slug
        UNION ALL SELECT 'tag:id=' || NEW.id
        UNION ALL SELECT 'tag:slug=' || NEW.slug
        UNION ALL SELECT 'post:tag=' || NEW.slug
        UNION ALL SELECT 'tag:id=' || id FROM tag WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
        UNION ALL SELECT 'tag:slug=' || slug FROM tag WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
        UNION ALL SELECT 'post:tag=' || slug FROM tag WHERE id = NEW.id OR name = NEW.name OR slug = NEW.slug
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER tag_before_delete BEFORE DELETE ON tag BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'tag' AS label
        UNION ALL SELECT 'tag:id=' || OLD.id
        UNION ALL SELECT 'tag:slug=' || OLD.slug
        UNION ALL SELECT 'post:tag=' || OLD.slug
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER token_before_insert BEFORE INSERT ON token BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'token:hash=' || hash AS label FROM token WHERE id = NEW.id OR hash = NEW.hash
        UNION ALL SELECT 'token:user=' || user FROM token WHERE id = NEW.id OR hash = NEW.hash
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER token_after_insert AFTER INSERT ON token BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'token' AS label
        UNION ALL SELECT 'token:hash=' || NEW.hash
        UNION ALL SELECT 'token:user=' || NEW.user
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER token_before_update BEFORE UPDATE ON token BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'token' AS label
        UNION ALL SELECT 'token:hash=' || OLD.hash
        UNION ALL SELECT 'token:user=' || OLD.user
        UNION ALL SELECT 'token:hash=' || NEW.hash
        UNION ALL SELECT 'token:user=' || NEW.user
        UNION ALL SELECT 'token:hash=' || hash FROM token WHERE id = NEW.id OR hash = NEW.hash
        UNION ALL SELECT 'token:user=' || user FROM token WHERE id = NEW.id OR hash = NEW.hash
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;

CREATE TRIGGER token_before_delete BEFORE DELETE ON token BEGIN
    INSERT INTO change (tag, seq) SELECT label, (SELECT seq + 1 FROM clock) FROM (
        SELECT 'token' AS label
        UNION ALL SELECT 'token:hash=' || OLD.hash
        UNION ALL SELECT 'token:user=' || OLD.user
    ) WHERE label IS NOT NULL ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq;
    UPDATE clock SET seq = seq + 1, nonce = random() WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq);
END;
