//! Command lines and the requests that are made of them.
