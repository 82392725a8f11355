-- The same statements run on SQLite and PostgreSQL from here on: a key of its own for each row, and
-- the spelling of an identity by which stations are compared. It is read out of the identity, so that it cannot say
-- anything else.

CREATE TABLE certificate_by_number (
    number           INTEGER PRIMARY KEY,            -- rises with each certificate
    serial_number    TEXT    NOT NULL UNIQUE,        -- hexadecimal, lower case, no leading zeros
    station          TEXT    NOT NULL,               -- identity in the connection URL
    station_key      TEXT    GENERATED ALWAYS AS (lower(station)) STORED, -- ASCII letters in lower case
    certificate_type TEXT,                           -- as SignCertificate carried it; NULL = both uses
    request_id       INTEGER,                        -- of OCPP 2.1 (A02.FR.25)
    spki_sha256      TEXT    NOT NULL,               -- the key that it certifies
    chain            TEXT    NOT NULL,               -- PEM, leaf first: what CertificateSigned carries
    not_after        INTEGER NOT NULL,               -- seconds since 1970
    issued_at        INTEGER NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('Issued', 'Accepted', 'Rejected')),
    answered_at      INTEGER,
    reason           TEXT,                           -- of a rejection, or what came instead of an answer
    attempts         INTEGER NOT NULL DEFAULT 0,     -- how often it was sent without an answer
    next_attempt     INTEGER NOT NULL DEFAULT 0      -- when it may be sent again
) STRICT;
INSERT INTO certificate_by_number (number, serial_number, station, certificate_type, request_id, spki_sha256, chain,
           not_after, issued_at, state, answered_at, reason, attempts, next_attempt)
    SELECT rowid, serial_number, station, certificate_type, request_id, spki_sha256, chain,
           not_after, issued_at, state, answered_at, reason, attempts, next_attempt
    FROM certificate ORDER BY rowid;
DROP TABLE certificate;
ALTER TABLE certificate_by_number RENAME TO certificate;

CREATE INDEX certificate_by_station ON certificate (station_key, state);
CREATE INDEX certificate_by_station_and_issue ON certificate (station_key, issued_at);
CREATE INDEX certificate_by_key ON certificate (spki_sha256);
CREATE INDEX certificate_by_issue ON certificate (issued_at);
CREATE INDEX certificate_by_end ON certificate (not_after);
CREATE INDEX certificate_by_attempt ON certificate (next_attempt) WHERE state = 'Issued' AND attempts > 0;

-- What the service has learnt of a station. Of several spellings the one that came first is kept.
CREATE TABLE station_state (
    station          TEXT    NOT NULL,
    station_key      TEXT    GENERATED ALWAYS AS (lower(station)) STORED UNIQUE,
    security_profile INTEGER NOT NULL DEFAULT 0,     -- the highest that it connected with (A05.FR.07); 0: none
    accepted_at      INTEGER,                        -- of its first BootNotification (B01.FR.08)
    trusted          INTEGER NOT NULL DEFAULT 0,     -- 1: it has used no certificate in entries that were lost
    password_taken   TEXT,                           -- hash of the one that it has taken (A01)
    password_offered TEXT                            -- hash of the one that it was offered and has not answered for
) STRICT;
INSERT INTO station_state (station, security_profile, accepted_at, trusted)
    SELECT identity, security_profile, accepted_at, trusted FROM station;
INSERT INTO station_state (station, password_taken, password_offered)
    SELECT identity, taken, offered FROM password WHERE TRUE
    ON CONFLICT (station_key) DO UPDATE SET password_taken = excluded.password_taken,
        password_offered = excluded.password_offered;
DROP TABLE station;
DROP TABLE password;

CREATE TABLE request_by_key (
    id               INTEGER PRIMARY KEY,
    station          TEXT    NOT NULL,
    station_key      TEXT    GENERATED ALWAYS AS (lower(station)) STORED,
    spki_sha256      TEXT    NOT NULL,
    certificate_type TEXT    NOT NULL,               -- as SignCertificate carried it; empty: for all connections
    request_id       INTEGER,                        -- of OCPP 2.1
    csr              TEXT    NOT NULL,               -- PEM
    asked_at         INTEGER NOT NULL,
    failure          TEXT,                           -- NULL: it waits
    UNIQUE (station_key, spki_sha256, certificate_type)
) STRICT;
INSERT INTO request_by_key (id, station, spki_sha256, certificate_type, request_id, csr, asked_at, failure)
    SELECT id, station, spki_sha256, certificate_type, request_id, csr, asked_at, failure
    FROM request WHERE id IN (SELECT max(id) FROM request GROUP BY lower(station), spki_sha256, certificate_type);
DROP TABLE request;
ALTER TABLE request_by_key RENAME TO request;
CREATE INDEX request_that_waits ON request (asked_at, id) WHERE failure IS NULL;

ALTER TABLE record ADD COLUMN reason TEXT GENERATED ALWAYS AS (line ->> '$.entry.event.reason') VIRTUAL;

-- The oldest version of the schema whose programs can use this one.
CREATE TABLE schema_version (oldest INTEGER NOT NULL) STRICT;
INSERT INTO schema_version VALUES (11);
