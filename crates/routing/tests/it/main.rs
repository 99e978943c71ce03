//! Property tests: the state machines against arbitrary orders of events.

#[cfg(test)]
mod balancer;
#[cfg(test)]
mod purse;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod usage;
