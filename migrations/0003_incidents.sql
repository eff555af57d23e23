-- What was found out when an alert began to fire, so that its page never dies, and who was told.
CREATE TABLE incidents (
    -- Fingerprint of the alert's labels as Alertmanager computes it, 16 hex digits.
    fingerprint  TEXT NOT NULL,
    -- Milliseconds since 1970-01-01 UTC.
    started_ms   INTEGER NOT NULL,
    -- NULL while it fires.
    ended_ms     INTEGER,
    -- JSON (docs/formats/state.md).
    document     TEXT NOT NULL,
    PRIMARY KEY (fingerprint, started_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX incidents_by_start ON incidents (started_ms);

CREATE TABLE told (
    -- xxh3-64 of the alert's labels, as in notification_log, 16 hex digits.
    alert     TEXT NOT NULL,
    -- Name of the receiver, a slash, the way.
    receiver  TEXT NOT NULL,
    told_ms   INTEGER NOT NULL,
    -- 1 where it was told that the alert is over.
    resolved  INTEGER NOT NULL,
    PRIMARY KEY (alert, told_ms, receiver)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_by_time ON told (told_ms);
