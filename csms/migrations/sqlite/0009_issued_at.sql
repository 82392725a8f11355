-- Finds what was issued while the clock was ahead, without reading every certificate.
CREATE INDEX certificate_by_issue ON certificate (issued_at);
