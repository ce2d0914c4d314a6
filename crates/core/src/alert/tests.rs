//! The rules, example by example.
