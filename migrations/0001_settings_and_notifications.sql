-- Settings by name, each a JSON value.
CREATE TABLE settings (
    name        TEXT PRIMARY KEY NOT NULL,
    value       TEXT NOT NULL,
    -- Milliseconds since 1970-01-01 UTC.
    updated_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What each receiver was last told about each group of alerts, so that a restart repeats nothing.
CREATE TABLE notification_log (
    group_key   TEXT NOT NULL,
    receiver    TEXT NOT NULL,
    -- Fingerprints of alert labels, 8 bytes each, little-endian, ascending.
    firing      BLOB NOT NULL,
    resolved    BLOB NOT NULL,
    -- Milliseconds since 1970-01-01 UTC: when it was sent, and from when on it may be forgotten.
    sent_ms     INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    PRIMARY KEY (group_key, receiver)
) STRICT, WITHOUT ROWID;

CREATE INDEX notification_log_expires ON notification_log (expires_ms);
