-- Passwords that were changed over a connection (A01), as Argon2id hashes. One that a station has taken counts instead
-- of the configuration's; one that it was offered counts beside it, until it is known which the station has.

CREATE TABLE password (
    identity TEXT PRIMARY KEY,
    taken    TEXT,
    offered  TEXT
) STRICT;
