"""The rehearsal from nothing to production, as `lockstep demo` plays it."""
