-- What the certificate service has promised and done. A row is written before the answer that relies on it leaves.

CREATE TABLE certificate (
    serial_number    TEXT    PRIMARY KEY,            -- hexadecimal, lower case, no leading zeros
    station          TEXT    NOT NULL,               -- identity in the connection URL
    certificate_type TEXT,                           -- as SignCertificate carried it; NULL = both uses
    spki_sha256      TEXT    NOT NULL,               -- the key that it certifies
    chain            TEXT    NOT NULL,               -- PEM, leaf first: what CertificateSigned carries
    not_after        INTEGER NOT NULL,               -- seconds since 1970
    issued_at        INTEGER NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('Issued', 'Accepted', 'Rejected')),
    answered_at      INTEGER,
    reason           TEXT                            -- of a rejection, as the station gave it
) STRICT;

CREATE INDEX certificate_by_station ON certificate (station, state);
CREATE INDEX certificate_by_key ON certificate (spki_sha256);

CREATE TABLE station (
    identity         TEXT    PRIMARY KEY,
    security_profile INTEGER NOT NULL                -- the highest that it connected with: no lower one from then on (A05.FR.07)
) STRICT;
