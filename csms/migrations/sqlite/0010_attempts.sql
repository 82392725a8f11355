-- How often a certificate was sent without an answer, and when it may be sent again. `reason` of
-- one that is Issued says what came instead of an answer.

ALTER TABLE certificate ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE certificate ADD COLUMN next_attempt INTEGER NOT NULL DEFAULT 0;

CREATE INDEX certificate_by_attempt ON certificate (next_attempt) WHERE state = 'Issued' AND attempts > 0;
