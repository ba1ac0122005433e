//! Rule groups, alert states, restoration
