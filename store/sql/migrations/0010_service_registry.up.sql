-- Instances of services that stay until somebody takes them out. protocol says how an instance is
-- checked: http, by base_path and health_path; tcp; nothing, where it is not checked, and then the
-- numbers of checks mean nothing. health, consecutive_failures and average_ms are as they were when
-- health changed last: how an instance is, servers keep elsewhere.

CREATE TABLE service_registry (
    service TEXT NOT NULL,
    instance TEXT NOT NULL,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    protocol TEXT NOT NULL,
    base_path TEXT NOT NULL,
    health_path TEXT NOT NULL,
    interval_ms BIGINT NOT NULL,
    timeout_ms BIGINT NOT NULL,
    retries BIGINT NOT NULL,
    weight BIGINT NOT NULL,
    max_connections BIGINT NOT NULL,
    failure_threshold BIGINT NOT NULL,
    recovery_ms BIGINT NOT NULL,
    ttl_ms BIGINT NOT NULL,
    health TEXT NOT NULL,
    consecutive_failures BIGINT NOT NULL,
    average_ms BIGINT NOT NULL,
    version TEXT,
    environment TEXT,
    region TEXT,
    zone TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (service, instance)
);
