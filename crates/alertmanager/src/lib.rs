//! Routing tree, grouping, inhibition, silences, notification log, receivers, API
