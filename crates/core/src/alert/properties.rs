//! Properties of the rules, for any sequence of measurements.
