-- What each ingestion process uses of a tenant's quota, told every second.
CREATE TABLE quota_leases (
    tenant_key   VARBINARY(64) NOT NULL,
    replica      VARBINARY(64) NOT NULL,
    told_at      BIGINT        NOT NULL,
    events       BIGINT        NOT NULL,
    events_short INT           NOT NULL,
    bytes        BIGINT        NOT NULL,
    bytes_short  INT           NOT NULL,
    PRIMARY KEY (tenant_key, replica)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Bytes of a tenant's day, by when it ends.
CREATE TABLE quota_days (
    tenant_key VARBINARY(64) NOT NULL,
    day_ends   BIGINT        NOT NULL,
    bytes      BIGINT        NOT NULL,
    PRIMARY KEY (tenant_key, day_ends)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
