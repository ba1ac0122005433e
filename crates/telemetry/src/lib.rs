//! The process's own metrics and logs, under the originals' names
