-- An identity does not distinguish case (as in `[[stations]]`): what is kept under one spelling counts for the others.

CREATE TABLE station_of_any_case (
    identity         TEXT    PRIMARY KEY COLLATE NOCASE,
    security_profile INTEGER NOT NULL,               -- the highest that it connected with: no lower one from then on (A05.FR.07)
    accepted_at      INTEGER                         -- as in 0003
) STRICT;
INSERT INTO station_of_any_case
    SELECT min(identity), max(security_profile), min(accepted_at) FROM station GROUP BY identity COLLATE NOCASE;
DROP TABLE station;
ALTER TABLE station_of_any_case RENAME TO station;

-- As in 0002; of several spellings the last one has the newest password.
CREATE TABLE password_of_any_case (
    identity TEXT PRIMARY KEY COLLATE NOCASE,
    taken    TEXT,
    offered  TEXT
) STRICT;
INSERT INTO password_of_any_case
    SELECT identity, taken, offered FROM password
    WHERE rowid IN (SELECT max(rowid) FROM password GROUP BY identity COLLATE NOCASE);
DROP TABLE password;
ALTER TABLE password_of_any_case RENAME TO password;

DROP INDEX certificate_by_station;
CREATE INDEX certificate_by_station ON certificate (station COLLATE NOCASE, state);
