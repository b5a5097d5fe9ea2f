//! What the agent decides, told what happens and when.

mod alone;
mod reports;
mod served;
mod world;
