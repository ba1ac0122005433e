//! PromQL: parser, planner, engine by column
