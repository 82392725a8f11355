//! A central system's certificate service: CA key in its token, enrolment, inventory of the fleet.
