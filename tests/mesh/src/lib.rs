//! Real Envoys under a real Istio control plane.
