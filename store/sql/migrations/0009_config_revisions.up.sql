-- Documents that were applied, each as canonical JSON, for deployments that are served from here.
-- They are only ever added: to go back to one is to add it again.

CREATE TABLE config_revisions (
    number BIGINT PRIMARY KEY,
    document TEXT NOT NULL,
    digest TEXT NOT NULL,
    who TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    why TEXT NOT NULL,
    active BOOLEAN NOT NULL
);

-- At most one is served.
CREATE UNIQUE INDEX config_revisions_active ON config_revisions (active) WHERE active;
