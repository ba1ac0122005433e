//! The time series store: group head, log, sealed chunks, index
