DROP TABLE config_revisions;
