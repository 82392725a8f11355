-- The requestId of the SignCertificate of OCPP 2.1 that a certificate answers: CertificateSigned repeats it (A02.FR.25).

ALTER TABLE certificate ADD COLUMN request_id INTEGER;
