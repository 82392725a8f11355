//! Turns the OCPP JSON schemas into the source text of ocpp-types.
