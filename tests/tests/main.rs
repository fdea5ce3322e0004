//! End-to-end tests: a file for each behaviour, each against the real parts. They are one program,
//! because linking one for every file took longer than running them all.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod account;
mod admin;
mod admin_v1;
mod api_keys;
mod audit;
mod away;
mod backup;
mod bad_input;
mod bodies;
mod bootstraps;
mod breached;
mod circuits;
mod circuits_shared;
mod cli;
mod clients;
mod consul;
mod crash;
mod device;
mod docs;
mod dump;
mod evidence;
mod exchange;
mod explain;
mod explain_property;
mod failure;
mod failure_identity;
mod feed;
mod gateway_api;
mod hints;
mod hostile;
mod import;
mod introspection;
mod leases;
mod limit_cluster;
mod limits;
mod login;
mod manifests;
mod modules;
mod mutual_tls;
mod normalize;
mod oauth_code;
mod openidconnect;
mod outcome;
mod outside;
mod par;
mod passkeys;
mod policies;
mod postgres;
mod protected_pages;
mod rate_limit_service;
mod refresh;
mod registration;
mod reload;
mod render;
mod review;
mod revocation;
mod revocation_bus;
mod services;
mod sessions_at_the_gateway;
mod signing_keys;
mod stores;
mod tokens;
mod traffic;
mod upstreams;
mod verdicts;
mod xds;

/// What several of them share.
mod kit {
    pub mod elsewhere;
    pub mod grants;
    pub mod person;
    pub mod proof;
}
