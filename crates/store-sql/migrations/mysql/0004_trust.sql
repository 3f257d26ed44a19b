-- Who is trusted without a token: authorities of client certificates, and address rules.

-- One row, counted up by each change of the tables below: what other processes look at.
CREATE TABLE trust_state (
    state_id   BIGINT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE client_authorities (
    fingerprint VARBINARY(255) NOT NULL PRIMARY KEY,
    tenant_key  VARBINARY(64)  NOT NULL,
    subject     TEXT           NOT NULL,
    key_hash    VARBINARY(255) NOT NULL,
    certificate MEDIUMTEXT     NOT NULL,
    expires_at  BIGINT         NOT NULL,
    created_at  BIGINT         NOT NULL,
    created_by  VARCHAR(255)   NOT NULL,
    UNIQUE KEY client_authorities_key (key_hash)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE revoked_certificates (
    fingerprint VARBINARY(255) NOT NULL PRIMARY KEY,
    tenant_key  VARBINARY(64)  NOT NULL,
    revoked_at  BIGINT         NOT NULL,
    revoked_by  VARCHAR(255)   NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- first_address, last_address: 4: and 8 hexadecimal digits, or 6: and 32.
CREATE TABLE address_rules (
    rule_id       BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    network       VARBINARY(64)  NOT NULL,
    first_address VARBINARY(64)  NOT NULL,
    last_address  VARBINARY(64)  NOT NULL,
    tenant_key    VARBINARY(64)  NOT NULL,
    source_key    VARBINARY(512),
    created_at    BIGINT         NOT NULL,
    created_by    VARCHAR(255)   NOT NULL,
    UNIQUE KEY address_rules_network (network)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
