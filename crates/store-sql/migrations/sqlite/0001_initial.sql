-- Times are nanoseconds since the epoch. Text compares by its bytes (SQLite's BINARY collation).

CREATE TABLE tenants (
    tenant_key           TEXT    NOT NULL PRIMARY KEY,
    slug                 TEXT    NOT NULL,
    name                 TEXT    NOT NULL,
    zone                 TEXT    NOT NULL,
    retention_class      TEXT    NOT NULL,
    index_group          INTEGER NOT NULL,
    quota_events_per_sec INTEGER,
    quota_bytes_per_sec  INTEGER,
    quota_bytes_per_day  INTEGER,
    created_at           INTEGER NOT NULL,
    suspended_at         INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tenants_slug ON tenants (slug);

CREATE TABLE users (
    user_id              TEXT    NOT NULL PRIMARY KEY,
    email                TEXT    NOT NULL,
    name                 TEXT    NOT NULL,
    password_hash        TEXT    NOT NULL,
    is_operator          INTEGER NOT NULL,
    lang                 TEXT,
    theme                TEXT    NOT NULL,
    created_at           INTEGER NOT NULL,
    disabled_at          INTEGER,
    must_change_password INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX users_email ON users (email);

CREATE TABLE memberships (
    user_id    TEXT NOT NULL REFERENCES users (user_id),
    tenant_key TEXT NOT NULL REFERENCES tenants (tenant_key),
    role       TEXT NOT NULL,
    PRIMARY KEY (user_id, tenant_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_tenant ON memberships (tenant_key);

CREATE TABLE settings (
    name          TEXT NOT NULL PRIMARY KEY,
    setting_value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    session_id   TEXT    NOT NULL PRIMARY KEY,
    site         TEXT    NOT NULL,
    user_id      TEXT,
    session_data TEXT    NOT NULL,
    user_agent   TEXT    NOT NULL,
    peer         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE tokens (
    token_id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: it travels with records
    tenant_key     TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    token_hash     TEXT    NOT NULL,
    token_prefix   TEXT    NOT NULL,
    source_key     TEXT,
    role           TEXT,
    created_at     INTEGER NOT NULL,
    created_by     TEXT    NOT NULL,
    expires_at     INTEGER,
    revoked_at     INTEGER,
    last_used_at   INTEGER,
    last_used_peer TEXT
) STRICT;
CREATE UNIQUE INDEX tokens_token_hash ON tokens (token_hash);
CREATE INDEX tokens_tenant ON tokens (tenant_key);
CREATE INDEX tokens_revoked ON tokens (revoked_at);
CREATE INDEX tokens_expiry ON tokens (expires_at);

-- Names of sources and of their metrics as numbers, for the large tables. Only ever added to, so that a process may
-- remember what it read.
CREATE TABLE source_ids (
    source_id  INTEGER PRIMARY KEY,
    tenant_key TEXT NOT NULL,
    source_key TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX source_ids_name ON source_ids (tenant_key, source_key);

CREATE TABLE series (
    series_id  INTEGER PRIMARY KEY,
    source_id  INTEGER NOT NULL REFERENCES source_ids (source_id),
    tenant_key TEXT    NOT NULL,
    metric     TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX series_name ON series (source_id, metric);
CREATE INDEX series_metric ON series (tenant_key, metric);

-- The registry that people see: made by them, or by a source's first event.
CREATE TABLE sources (
    source_id          INTEGER PRIMARY KEY REFERENCES source_ids (source_id),
    tenant_key         TEXT    NOT NULL,
    source_key         TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    kind               TEXT    NOT NULL,
    attributes         TEXT    NOT NULL, -- a JSON object of texts
    search_text        TEXT    NOT NULL, -- key, name and kind in lower case
    offline_after_secs INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    first_seen         INTEGER,
    last_seen          INTEGER,
    protocol           TEXT,
    events             INTEGER NOT NULL,
    bytes              INTEGER NOT NULL,
    ts_min             INTEGER,
    ts_max             INTEGER
) STRICT;
CREATE UNIQUE INDEX sources_source_key ON sources (tenant_key, source_key);

-- level_rank: 0 (trace) to 8 (emergency), 9 for none.
CREATE TABLE source_arrivals (
    source_id      INTEGER NOT NULL,
    arrival_minute INTEGER NOT NULL,
    level_rank     INTEGER NOT NULL,
    events         INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    PRIMARY KEY (source_id, arrival_minute, level_rank)
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant_arrivals (
    tenant_key     TEXT    NOT NULL,
    arrival_minute INTEGER NOT NULL,
    level_rank     INTEGER NOT NULL,
    events         INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    PRIMARY KEY (tenant_key, arrival_minute, level_rank)
) STRICT, WITHOUT ROWID;

CREATE TABLE latest_values (
    series_id    INTEGER PRIMARY KEY REFERENCES series (series_id),
    latest_value REAL    NOT NULL,
    latest_ts    INTEGER NOT NULL
) STRICT;

-- value_sum is NULL once it went beyond what a double holds.
CREATE TABLE rollup_minutes (
    series_id   INTEGER NOT NULL,
    step_start  INTEGER NOT NULL,
    value_count INTEGER NOT NULL,
    value_sum   REAL,
    min_ts      INTEGER NOT NULL,
    min_value   REAL    NOT NULL,
    max_ts      INTEGER NOT NULL,
    max_value   REAL    NOT NULL,
    last_value  REAL    NOT NULL,
    last_ts     INTEGER NOT NULL,
    PRIMARY KEY (series_id, step_start)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_hours (
    series_id   INTEGER NOT NULL,
    step_start  INTEGER NOT NULL,
    value_count INTEGER NOT NULL,
    value_sum   REAL,
    min_ts      INTEGER NOT NULL,
    min_value   REAL    NOT NULL,
    max_ts      INTEGER NOT NULL,
    max_value   REAL    NOT NULL,
    last_value  REAL    NOT NULL,
    last_ts     INTEGER NOT NULL,
    PRIMARY KEY (series_id, step_start)
) STRICT, WITHOUT ROWID;

-- seen_until: the end of the hour of the last use, so that the index moves once an hour.
CREATE TABLE streams (
    source_id   INTEGER NOT NULL,
    stream_name TEXT    NOT NULL,
    last_seq    INTEGER NOT NULL,
    seen_until  INTEGER NOT NULL,
    PRIMARY KEY (source_id, stream_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX streams_seen ON streams (seen_until);

CREATE TABLE given_ids (
    source_id INTEGER NOT NULL,
    given_id  TEXT    NOT NULL,
    seen_at   INTEGER NOT NULL,
    PRIMARY KEY (source_id, given_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX given_ids_seen ON given_ids (seen_at);

CREATE TABLE pipeline_offsets (
    topic        TEXT    NOT NULL,
    partition_no INTEGER NOT NULL,
    next_offset  INTEGER NOT NULL,
    PRIMARY KEY (topic, partition_no)
) STRICT, WITHOUT ROWID;
