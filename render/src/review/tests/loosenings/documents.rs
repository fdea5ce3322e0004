//! The documents that are changed.

/// A document whose edge holds all of its rules.
pub(super) const EDGE: &str = r#"version: 1
trusted_proxies: 1
matrix_parameters: refuse
security_headers: api
stores: {volatile: 'redis://127.0.0.1:6379', durable: 'postgres://db.example.test/a', replicas: 3}
failures: {ext_authz: deny, ext_proc: deny}
revocation: {max_staleness: 10s, when_stale: deny}
feed:
  peers:
  - {name: first, credential_sha256: '0b00000000000000000000000000000000000000000000000000000000000001', workloads: [edge]}
credentials:
  jwt:
    from: [{header: authorization}]
    bound: {dpop: {max_age: 60s}}
    issuers:
    - issuer: https://one.example.test
      audiences: [shop]
      leeway: 30s
      required_claims: [tenant]
      claim_headers: {x-tenant: tenant}
      jwks: {uri: 'https://one.example.test/jwks', refresh: 5m}
    - issuer: https://two.example.test
      audiences: [shop]
      jwks: {inline: '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'}
  api_key:
    keys:
    - {id: k1, sha256: '0a00000000000000000000000000000000000000000000000000000000000001', subject: one, scopes: [items.read]}
services:
  shop: {upstream: 'shop.shop.svc.cluster.local:8080', tls: true, timeout: 30s}
  slow: {upstream: 'slow.shop.svc.cluster.local:8080', circuit: {failures: 5, recovery: 60s}}
limits:
  per-ip: {key: [ip], mode: local, rate: 100/1h, burst: 50, ipv6_prefix: 64}
  per-user: {key: [claim.sub], mode: exact, rate: 50/1m, when_store_fails: deny, tiers: {premium: 100/1m}, clients: {app: 200/1m}}
  all: {key: [ip, route], mode: leased, rate: 10000/1m, when_store_fails: deny, lease: {sidecars: 10, outstanding: 10%, start: strict}}
  slots: {key: [ip], mode: exact, in_flight: 5, slot_life: 60s, when_store_fails: deny}
transforms:
  clean: {request: {remove: [x-internal], set: {x-zone: inner}}, response: {remove: [x-debug]}}
routes:
- name: read
  match: {path: '/items/{rest=**}', methods: [GET, HEAD], hosts: [api.example.test]}
  service: shop
  auth: {any: [jwt], scopes: [items.read, items.list], issuers: ['https://one.example.test'], audiences: [items], claims: {role: [admin], site: [a]}}
  limits: [per-ip, {limit: all, weight: 5}]
  transform: [clean]
  ext_authz: true
  enforce: 50%
- name: write
  match: {path: '/items/{rest=**}', methods: [POST], hosts: [api.example.test]}
  service: shop
  auth: {any: [jwt], scopes: [items.write], proof: dpop}
  limits: [per-user, slots]
- name: keyed
  match: {path: /keyed}
  service: slow
  auth: {any: [api_key], scopes: [items.read]}
  limits: [per-ip]
"#;

/// One whose workload does.
pub(super) const MESH: &str = r#"version: 1
rate_limit_filter: {domain: shop, timeout: 100ms, on_failure: deny}
feed:
  peers:
  - {spiffe: 'spiffe://cluster.local/ns/istio-system/sa/edge', workloads: [edge]}
workloads:
  edge: {gateway: true, namespace: istio-system, labels: {istio: ingressgateway}, service_account: edge}
  pay: {namespace: shop, labels: {app: pay}, service_account: pay, ports: [8080]}
credentials:
  jwt:
    issuers:
    - issuer: https://one.example.test
      audiences: [shop]
      jwks: {uri: 'https://one.example.test/jwks'}
services:
  shop: {upstream: 'shop.shop.svc.cluster.local:8080'}
  pay: {upstream: 'pay.shop.svc.cluster.local:8080', workload: pay, guard: workload}
limits:
  per-user: {key: [claim.sub], mode: local, rate: 50/1m}
routes:
- name: pay
  match: {path: /pay}
  service: pay
  auth: {any: [jwt], scopes: [pay]}
  peers: ['spiffe://cluster.local/ns/shop/sa/web', 'spiffe://cluster.local/ns/istio-system/sa/edge']
  limits: [per-user]
  descriptors: [[{remote_address: true}], [{principal: true}]]
- name: shop
  match: {path: /shop}
  service: shop
  auth: {any: [jwt], scopes: [pay]}
  limits: [per-user]
"#;
