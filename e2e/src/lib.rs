//! Tests of a Shop on a live Kubernetes cluster.
