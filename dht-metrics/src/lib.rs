//! Counters, histograms and a snapshot of what a DHT node does, with Prometheus text
