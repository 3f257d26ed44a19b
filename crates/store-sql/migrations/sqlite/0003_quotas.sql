-- What each ingestion process uses of a tenant's quota, told every second.
CREATE TABLE quota_leases (
    tenant_key   TEXT    NOT NULL,
    replica      TEXT    NOT NULL,
    told_at      INTEGER NOT NULL,
    events       INTEGER NOT NULL,
    events_short INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    bytes_short  INTEGER NOT NULL,
    PRIMARY KEY (tenant_key, replica)
) WITHOUT ROWID;

-- Bytes of a tenant's day, by when it ends.
CREATE TABLE quota_days (
    tenant_key TEXT    NOT NULL,
    day_ends   INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    PRIMARY KEY (tenant_key, day_ends)
) WITHOUT ROWID;
