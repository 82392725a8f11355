//! The charging station's inventory of certificates: installed, listed and deleted durably.
