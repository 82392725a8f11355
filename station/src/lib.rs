//! A charging station's agent for certificates: keys in its token, inventory, renewal.
