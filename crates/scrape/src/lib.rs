//! Relabelling, target pools, scrape loops and the row path
