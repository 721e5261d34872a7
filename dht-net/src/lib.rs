//! Transports and the driver: the only place with sockets, tasks and timers
