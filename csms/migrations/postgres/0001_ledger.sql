-- What the certificate service has promised and done. A row is written before the answer that relies on it leaves.

CREATE TABLE certificate (
    number           BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- rises with each certificate
    serial_number    TEXT    NOT NULL UNIQUE,        -- hexadecimal, lower case, no leading zeros
    station          TEXT    NOT NULL,               -- identity in the connection URL
    station_key      TEXT    GENERATED ALWAYS AS (lower(station COLLATE "C")) STORED, -- ASCII letters in lower case
    certificate_type TEXT,                           -- as SignCertificate carried it; NULL = both uses
    request_id       BIGINT,                         -- of OCPP 2.1 (A02.FR.25)
    spki_sha256      TEXT    NOT NULL,               -- the key that it certifies
    chain            TEXT    NOT NULL,               -- PEM, leaf first: what CertificateSigned carries
    not_after        BIGINT  NOT NULL,               -- seconds since 1970
    issued_at        BIGINT  NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('Issued', 'Accepted', 'Rejected')),
    answered_at      BIGINT,
    reason           TEXT,                           -- of a rejection, or what came instead of an answer
    attempts         BIGINT  NOT NULL DEFAULT 0,     -- how often it was sent without an answer
    next_attempt     BIGINT  NOT NULL DEFAULT 0      -- when it may be sent again
);

CREATE INDEX certificate_by_station ON certificate (station_key, state);
CREATE INDEX certificate_by_station_and_issue ON certificate (station_key, issued_at);
CREATE INDEX certificate_by_key ON certificate (spki_sha256);
CREATE INDEX certificate_by_issue ON certificate (issued_at);
CREATE INDEX certificate_by_end ON certificate (not_after);
CREATE INDEX certificate_by_attempt ON certificate (next_attempt) WHERE state = 'Issued' AND attempts > 0;

-- What the service has learnt of a station. Of several spellings the one that came first is kept.
CREATE TABLE station_state (
    station          TEXT    NOT NULL,
    station_key      TEXT    GENERATED ALWAYS AS (lower(station COLLATE "C")) STORED UNIQUE,
    security_profile BIGINT  NOT NULL DEFAULT 0,     -- the highest that it connected with (A05.FR.07); 0: none
    accepted_at      BIGINT,                         -- of its first BootNotification (B01.FR.08)
    trusted          BIGINT  NOT NULL DEFAULT 0,     -- 1: it has used no certificate in entries that were lost
    password_taken   TEXT,                           -- hash of the one that it has taken (A01)
    password_offered TEXT                            -- hash of the one that it was offered and has not answered for
);

-- Requests that were accepted and passed on to another authority (A02.FR.04), until its certificate is in the ledger.
CREATE TABLE request (
    id               BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    station          TEXT    NOT NULL,
    station_key      TEXT    GENERATED ALWAYS AS (lower(station COLLATE "C")) STORED,
    spki_sha256      TEXT    NOT NULL,
    certificate_type TEXT    NOT NULL,               -- as SignCertificate carried it; empty: for all connections
    request_id       BIGINT,                         -- of OCPP 2.1
    csr              TEXT    NOT NULL,               -- PEM
    asked_at         BIGINT  NOT NULL,
    failure          TEXT,                           -- NULL: it waits
    UNIQUE (station_key, spki_sha256, certificate_type)
);
CREATE INDEX request_that_waits ON request (asked_at, id) WHERE failure IS NULL;

-- What the authority is about to sign, and what became of it: one line per entry, chained by hash, as
-- `signer_pkcs11::ChainEnd` writes it and `hsm audit verify` reads it. The columns beside it are read out of the line, so
-- that they cannot say anything else than what was hashed.
CREATE TABLE record (
    number             BIGINT PRIMARY KEY,
    line               TEXT   NOT NULL,
    kind               TEXT   GENERATED ALWAYS AS (line::jsonb #>> '{entry,event,kind}') STORED,
    station            TEXT   GENERATED ALWAYS AS (line::jsonb #>> '{entry,event,station}') STORED,
    serial             TEXT   GENERATED ALWAYS AS (line::jsonb #>> '{entry,event,serial}') STORED,
    spki_sha256        TEXT   GENERATED ALWAYS AS (line::jsonb #>> '{entry,event,spki_sha256}') STORED,
    issuer_key_id      TEXT   GENERATED ALWAYS AS (line::jsonb #>> '{entry,event,issuer_key_id}') STORED,
    certificate_sha256 TEXT   GENERATED ALWAYS AS (line::jsonb #>> '{entry,event,certificate_sha256}') STORED,
    reason             TEXT   GENERATED ALWAYS AS (line::jsonb #>> '{entry,event,reason}') STORED
);

CREATE INDEX record_by_key ON record (spki_sha256) WHERE spki_sha256 IS NOT NULL;
CREATE INDEX record_by_serial ON record (serial, kind) WHERE serial IS NOT NULL;
CREATE INDEX record_of_revocations ON record (number) WHERE kind = 'revoked';
CREATE INDEX record_of_lists ON record (issuer_key_id, number) WHERE kind = 'crl-signing';
CREATE INDEX record_of_signatures ON record (certificate_sha256) WHERE certificate_sha256 IS NOT NULL;
CREATE INDEX record_of_ledgers ON record (number) WHERE kind IN ('ledger', 'restored', 'passwords-accepted');

-- An entry follows the last one, and none is changed or removed.
CREATE FUNCTION record_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'what is on record is not changed';
    ELSIF TG_OP = 'INSERT' THEN
        IF NEW.number IS DISTINCT FROM (SELECT coalesce(max(number), 0) + 1 FROM record) THEN
            RAISE EXCEPTION 'an entry follows the last one';
        END IF;
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'what is on record is not taken away';
END $$;
CREATE TRIGGER record_is_kept BEFORE INSERT OR UPDATE OR DELETE ON record
    FOR EACH ROW EXECUTE FUNCTION record_is_kept();
CREATE TRIGGER record_is_not_emptied BEFORE TRUNCATE ON record
    FOR EACH STATEMENT EXECUTE FUNCTION record_is_kept();

-- The oldest version of the schema whose programs can use this one.
CREATE TABLE schema_version (oldest BIGINT NOT NULL);
INSERT INTO schema_version VALUES (1);
