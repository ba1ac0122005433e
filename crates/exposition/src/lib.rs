//! Exposition formats: text 0.0.4 and OpenMetrics 1.0, bytes to samples and back
