-- Requests that were accepted and passed on to another authority (A02.FR.04), until its certificate is in the ledger.

CREATE TABLE request (
    id               INTEGER PRIMARY KEY,
    station          TEXT    NOT NULL,
    spki_sha256      TEXT    NOT NULL,
    certificate_type TEXT    NOT NULL,               -- as SignCertificate carried it; empty: for all connections
    request_id       INTEGER,                        -- of OCPP 2.1
    csr              TEXT    NOT NULL,               -- PEM
    asked_at         INTEGER NOT NULL,
    failure          TEXT,                           -- NULL: it waits
    UNIQUE (station, spki_sha256, certificate_type)
) STRICT;
