//! The one test binary: every module is a chapter of what the server promises.
