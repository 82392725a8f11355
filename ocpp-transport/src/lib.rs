//! OCPP-J over WebSocket and TLS, for charging stations and central systems.
