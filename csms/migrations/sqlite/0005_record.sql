-- What the authority is about to sign, and what became of it: one line per entry, chained by hash, as
-- `signer_pkcs11::ChainEnd` writes it and `hsm audit verify` reads it. The columns beside it are read out of the line, so
-- that they cannot say anything else than what was hashed.

CREATE TABLE record (
    number        INTEGER PRIMARY KEY,
    line          TEXT    NOT NULL,
    kind          TEXT    GENERATED ALWAYS AS (line ->> '$.entry.event.kind') VIRTUAL,
    station       TEXT    GENERATED ALWAYS AS (line ->> '$.entry.event.station') VIRTUAL,
    serial        TEXT    GENERATED ALWAYS AS (line ->> '$.entry.event.serial') VIRTUAL,
    spki_sha256   TEXT    GENERATED ALWAYS AS (line ->> '$.entry.event.spki_sha256') VIRTUAL,
    issuer_key_id TEXT    GENERATED ALWAYS AS (line ->> '$.entry.event.issuer_key_id') VIRTUAL
) STRICT;

CREATE INDEX record_by_key ON record (spki_sha256) WHERE spki_sha256 IS NOT NULL;
CREATE INDEX record_by_serial ON record (serial, kind) WHERE serial IS NOT NULL;
CREATE INDEX record_of_revocations ON record (number) WHERE kind = 'revoked';
CREATE INDEX record_of_lists ON record (issuer_key_id, number) WHERE kind = 'crl-signing';

-- Nothing that is on record is changed or taken away.
CREATE TRIGGER record_is_not_changed BEFORE UPDATE ON record
BEGIN SELECT RAISE(ABORT, 'what is on record is not changed'); END;

CREATE TRIGGER record_is_not_shortened BEFORE DELETE ON record
BEGIN SELECT RAISE(ABORT, 'what is on record is not taken away'); END;

-- Also not by INSERT OR REPLACE, for which SQLite calls no trigger on DELETE.
CREATE TRIGGER record_grows_at_its_end BEFORE INSERT ON record
WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM record)
BEGIN SELECT RAISE(ABORT, 'an entry follows the last one'); END;
