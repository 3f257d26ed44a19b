-- Times are nanoseconds since the epoch.
--
-- Keys are VARBINARY, which compares and sorts by bytes and keeps trailing spaces apart: every collation that MySQL
-- and MariaDB both know pads with spaces, so that to it `a` is `a `. Their lengths are bytes of UTF-8. Other text is
-- utf8mb4, and read whole or refused: no statement runs outside strict mode.
--
-- Each statement stands alone and may be run again, because each commits by itself.

CREATE TABLE tenants (
    tenant_key           VARBINARY(64)  NOT NULL PRIMARY KEY,
    slug                 VARBINARY(255) NOT NULL,
    name                 TEXT           NOT NULL,
    zone                 VARCHAR(255)   NOT NULL,
    retention_class      VARCHAR(64)    NOT NULL,
    index_group          INT            NOT NULL,
    quota_events_per_sec BIGINT,
    quota_bytes_per_sec  BIGINT,
    quota_bytes_per_day  BIGINT,
    created_at           BIGINT         NOT NULL,
    suspended_at         BIGINT,
    UNIQUE KEY tenants_slug (slug)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE users (
    user_id              VARBINARY(255) NOT NULL PRIMARY KEY,
    email                VARBINARY(512) NOT NULL,
    name                 TEXT           NOT NULL,
    password_hash        TEXT           NOT NULL,
    is_operator          INT            NOT NULL,
    lang                 VARCHAR(64),
    theme                VARCHAR(64)    NOT NULL,
    created_at           BIGINT         NOT NULL,
    disabled_at          BIGINT,
    must_change_password INT            NOT NULL,
    UNIQUE KEY users_email (email)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE memberships (
    user_id    VARBINARY(255) NOT NULL,
    tenant_key VARBINARY(64)  NOT NULL,
    role       VARCHAR(64)    NOT NULL,
    PRIMARY KEY (user_id, tenant_key),
    KEY memberships_tenant (tenant_key),
    CONSTRAINT memberships_of_user FOREIGN KEY (user_id) REFERENCES users (user_id),
    CONSTRAINT memberships_of_tenant FOREIGN KEY (tenant_key) REFERENCES tenants (tenant_key)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE settings (
    name          VARBINARY(255) NOT NULL PRIMARY KEY,
    setting_value LONGTEXT       NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE sessions (
    session_id   VARBINARY(255) NOT NULL PRIMARY KEY,
    site         VARCHAR(64)    NOT NULL,
    user_id      VARBINARY(255),
    session_data MEDIUMTEXT     NOT NULL,
    user_agent   TEXT           NOT NULL,
    peer         VARCHAR(255)   NOT NULL,
    created_at   BIGINT         NOT NULL,
    last_seen_at BIGINT         NOT NULL,
    expires_at   BIGINT         NOT NULL,
    KEY sessions_user (user_id),
    KEY sessions_expiry (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- token_id is never used again: it travels with records.
CREATE TABLE tokens (
    token_id       BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tenant_key     VARBINARY(64)  NOT NULL,
    kind           VARCHAR(64)    NOT NULL,
    name           TEXT           NOT NULL,
    token_hash     VARBINARY(255) NOT NULL,
    token_prefix   VARCHAR(255)   NOT NULL,
    source_key     VARBINARY(512),
    role           VARCHAR(64),
    created_at     BIGINT         NOT NULL,
    created_by     VARCHAR(255)   NOT NULL,
    expires_at     BIGINT,
    revoked_at     BIGINT,
    last_used_at   BIGINT,
    last_used_peer VARCHAR(255),
    UNIQUE KEY tokens_token_hash (token_hash),
    KEY tokens_tenant (tenant_key),
    KEY tokens_revoked (revoked_at),
    KEY tokens_expiry (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Names of sources and of their metrics as numbers, for the large tables. Only ever added to, so that a process may
-- remember what it read.
CREATE TABLE source_ids (
    source_id  BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tenant_key VARBINARY(64)  NOT NULL,
    source_key VARBINARY(512) NOT NULL,
    UNIQUE KEY source_ids_name (tenant_key, source_key)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE series (
    series_id  BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    source_id  BIGINT         NOT NULL,
    tenant_key VARBINARY(64)  NOT NULL,
    metric     VARBINARY(512) NOT NULL,
    UNIQUE KEY series_name (source_id, metric),
    KEY series_metric (tenant_key, metric),
    CONSTRAINT series_of_source FOREIGN KEY (source_id) REFERENCES source_ids (source_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- The registry that people see: made by them, or by a source's first event.
-- attributes: a JSON object of texts. search_text: key, name and kind in lower case.
CREATE TABLE sources (
    source_id          BIGINT         NOT NULL PRIMARY KEY,
    tenant_key         VARBINARY(64)  NOT NULL,
    source_key         VARBINARY(512) NOT NULL,
    name               TEXT           NOT NULL,
    kind               TEXT           NOT NULL,
    attributes         MEDIUMTEXT     NOT NULL,
    search_text        MEDIUMTEXT     NOT NULL,
    offline_after_secs BIGINT         NOT NULL,
    created_at         BIGINT         NOT NULL,
    first_seen         BIGINT,
    last_seen          BIGINT,
    protocol           VARCHAR(64),
    events             BIGINT         NOT NULL,
    bytes              BIGINT         NOT NULL,
    ts_min             BIGINT,
    ts_max             BIGINT,
    UNIQUE KEY sources_source_key (tenant_key, source_key),
    CONSTRAINT sources_have_an_id FOREIGN KEY (source_id) REFERENCES source_ids (source_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- level_rank: 0 (trace) to 8 (emergency), 9 for none.
CREATE TABLE source_arrivals (
    source_id      BIGINT NOT NULL,
    arrival_minute BIGINT NOT NULL,
    level_rank     INT    NOT NULL,
    events         BIGINT NOT NULL,
    bytes          BIGINT NOT NULL,
    PRIMARY KEY (source_id, arrival_minute, level_rank)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE tenant_arrivals (
    tenant_key     VARBINARY(64) NOT NULL,
    arrival_minute BIGINT        NOT NULL,
    level_rank     INT           NOT NULL,
    events         BIGINT        NOT NULL,
    bytes          BIGINT        NOT NULL,
    PRIMARY KEY (tenant_key, arrival_minute, level_rank)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE latest_values (
    series_id    BIGINT NOT NULL PRIMARY KEY,
    latest_value DOUBLE NOT NULL,
    latest_ts    BIGINT NOT NULL,
    CONSTRAINT latest_values_of_series FOREIGN KEY (series_id) REFERENCES series (series_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- value_sum is NULL once it went beyond what a double holds.
-- Not partitioned by time: see `expiry.rs`.
CREATE TABLE rollup_minutes (
    series_id    BIGINT NOT NULL,
    step_start   BIGINT NOT NULL,
    value_count  BIGINT NOT NULL,
    value_sum    DOUBLE,
    min_ts       BIGINT NOT NULL,
    min_value    DOUBLE NOT NULL,
    max_ts       BIGINT NOT NULL,
    max_value    DOUBLE NOT NULL,
    `last_value` DOUBLE NOT NULL,
    last_ts      BIGINT NOT NULL,
    PRIMARY KEY (series_id, step_start)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE rollup_hours (
    series_id    BIGINT NOT NULL,
    step_start   BIGINT NOT NULL,
    value_count  BIGINT NOT NULL,
    value_sum    DOUBLE,
    min_ts       BIGINT NOT NULL,
    min_value    DOUBLE NOT NULL,
    max_ts       BIGINT NOT NULL,
    max_value    DOUBLE NOT NULL,
    `last_value` DOUBLE NOT NULL,
    last_ts      BIGINT NOT NULL,
    PRIMARY KEY (series_id, step_start)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- seen_until: the end of the hour of the last use, so that the index moves once an hour.
CREATE TABLE streams (
    source_id   BIGINT         NOT NULL,
    stream_name VARBINARY(512) NOT NULL,
    last_seq    BIGINT         NOT NULL,
    seen_until  BIGINT         NOT NULL,
    PRIMARY KEY (source_id, stream_name),
    KEY streams_seen (seen_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE given_ids (
    source_id BIGINT         NOT NULL,
    given_id  VARBINARY(512) NOT NULL,
    seen_at   BIGINT         NOT NULL,
    PRIMARY KEY (source_id, given_id),
    KEY given_ids_seen (seen_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE pipeline_offsets (
    topic        VARBINARY(255) NOT NULL,
    partition_no BIGINT         NOT NULL,
    next_offset  BIGINT         NOT NULL,
    PRIMARY KEY (topic, partition_no)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
