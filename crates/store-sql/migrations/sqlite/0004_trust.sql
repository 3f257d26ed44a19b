-- Who is trusted without a token: authorities of client certificates, and address rules.

-- One row, counted up by each change of the tables below: what other processes look at.
CREATE TABLE trust_state (
    state_id   INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL
) STRICT;

CREATE TABLE client_authorities (
    fingerprint TEXT    PRIMARY KEY,
    tenant_key  TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    key_hash    TEXT    NOT NULL,
    certificate TEXT    NOT NULL,
    expires_at  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX client_authorities_key ON client_authorities (key_hash);

CREATE TABLE revoked_certificates (
    fingerprint TEXT    PRIMARY KEY,
    tenant_key  TEXT    NOT NULL,
    revoked_at  INTEGER NOT NULL,
    revoked_by  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- first_address, last_address: 4: and 8 hexadecimal digits, or 6: and 32.
CREATE TABLE address_rules (
    rule_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    network       TEXT    NOT NULL,
    first_address TEXT    NOT NULL,
    last_address  TEXT    NOT NULL,
    tenant_key    TEXT    NOT NULL,
    source_key    TEXT,
    created_at    INTEGER NOT NULL,
    created_by    TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX address_rules_network ON address_rules (network);
