//! ESP as pure functions over byte slices.
