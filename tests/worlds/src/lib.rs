//! What the suites and the demo stand on: the real stack and a Juju emulator.

pub mod charmed;
pub mod dice;
pub mod documented;
pub mod figures;

pub mod juju;
pub mod kubectl;
pub mod matrix;
pub mod operator;
pub mod past;
pub mod plane;
pub mod shop;
pub mod side_by_side;
pub mod stack;
pub mod store;
pub mod versions;
pub mod world;
