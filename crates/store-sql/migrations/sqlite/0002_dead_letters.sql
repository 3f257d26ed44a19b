-- letter_state: open, replaying, replayed, discarded. form: frame, event.
-- kept_bytes: of original and edited. The bytes stand last, so that lists need not read past them.
CREATE TABLE dead_letters (
    tenant_key   TEXT    NOT NULL,
    letter_id    TEXT    NOT NULL,
    letter_state TEXT    NOT NULL,
    given_up_at  INTEGER NOT NULL,
    kept_bytes   INTEGER NOT NULL,
    code         TEXT    NOT NULL,
    source_key   TEXT    NOT NULL,
    source_bound INTEGER NOT NULL,
    protocol     TEXT    NOT NULL,
    peer         TEXT,
    reason       TEXT    NOT NULL,
    full_length  INTEGER NOT NULL,
    sha256       TEXT,
    form         TEXT    NOT NULL,
    blanked      INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    edited_by    TEXT,
    edited_at    INTEGER,
    resolved_by  TEXT,
    resolved_at  INTEGER,
    event_id     TEXT,
    original     BLOB    NOT NULL,
    edited       BLOB,
    PRIMARY KEY (tenant_key, letter_id)
) STRICT;
CREATE INDEX dead_letters_order ON dead_letters (tenant_key, given_up_at, letter_id);
CREATE INDEX dead_letters_state ON dead_letters (tenant_key, letter_state, given_up_at, kept_bytes);
CREATE INDEX dead_letters_age ON dead_letters (given_up_at);
