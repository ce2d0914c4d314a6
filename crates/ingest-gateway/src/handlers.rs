//! One file per resource. A handler reads the request, calls one thing, and writes the answer.

pub(crate) mod conversions;
