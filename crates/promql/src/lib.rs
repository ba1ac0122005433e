//! PromQL: parser, planner, engine by column

pub mod parser;
