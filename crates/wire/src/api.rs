//! The HTTP API of control: request and response bodies.
