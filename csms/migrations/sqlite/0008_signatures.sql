-- What was signed is looked up before it is sent, by the hash of the certificate.

ALTER TABLE record ADD COLUMN certificate_sha256 TEXT
    GENERATED ALWAYS AS (line ->> '$.entry.event.certificate_sha256') VIRTUAL;

CREATE INDEX record_of_signatures ON record (certificate_sha256) WHERE certificate_sha256 IS NOT NULL;
CREATE INDEX record_of_ledgers ON record (number) WHERE kind IN ('ledger', 'restored', 'passwords-accepted');

-- After a ledger was restored that lost entries, any station may have used a certificate since
-- (A05.FR.07). Of these an operator knows that they have not.
ALTER TABLE station ADD COLUMN trusted INTEGER NOT NULL DEFAULT 0;
