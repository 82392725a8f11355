-- The stations that may connect, beside those of the configuration file.
CREATE TABLE station (
    number           BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    station          TEXT    NOT NULL,               -- identity in the connection URL
    station_key      TEXT    COLLATE "C" GENERATED ALWAYS AS (lower(station COLLATE "C")) STORED UNIQUE, -- ASCII letters in lower case
    serial_number    TEXT    NOT NULL UNIQUE,        -- CN of its certificate (A00.FR.405)
    station_group    TEXT,
    labels           TEXT    NOT NULL DEFAULT '{}',  -- a JSON object of texts
    password_hash    TEXT,
    lowest_profile   BIGINT  NOT NULL DEFAULT 1 CHECK (lowest_profile BETWEEN 1 AND 3),
    enrolment        TEXT    NOT NULL DEFAULT 'open' CHECK (enrolment IN ('open', 'closed')),
    first_seen       BIGINT,                         -- of BootNotifications that were accepted, seconds since 1970
    last_seen        BIGINT,
    ocpp_version     TEXT,
    security_profile BIGINT,
    vendor           TEXT,
    model            TEXT,
    firmware         TEXT
);

CREATE INDEX station_by_group ON station (station_group, station_key);
CREATE INDEX station_by_last_seen ON station (last_seen);

-- A program without this table would refuse these stations as unknown.
UPDATE schema_version SET oldest = 2;
