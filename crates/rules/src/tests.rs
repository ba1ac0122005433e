//! Groups over a virtual clock.
