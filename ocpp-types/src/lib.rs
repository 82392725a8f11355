//! The messages of OCPP, with every bound of the schemas in their types.
