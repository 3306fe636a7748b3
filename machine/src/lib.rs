//! Hull.
