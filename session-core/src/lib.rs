//! One contract for session stores, and the session lifecycle written once above them.
