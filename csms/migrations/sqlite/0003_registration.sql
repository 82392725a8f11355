-- When a station's BootNotification was first accepted; NULL: it never was, and nothing else is taken of it (B01.FR.08).

ALTER TABLE station ADD COLUMN accepted_at INTEGER;
