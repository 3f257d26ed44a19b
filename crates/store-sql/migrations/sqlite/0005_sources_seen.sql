-- The latest sources first, and counts of their states, without a look at the rows.

CREATE INDEX sources_seen ON sources (tenant_key, last_seen DESC, source_key, offline_after_secs);
