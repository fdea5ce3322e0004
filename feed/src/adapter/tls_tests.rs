//! Over TLS: who shows a certificate is who it says, who shows none is nobody, and who shows one
//! of another authority does not get as far as being asked.

use postern_proto::feed::v1::client::FeedClient;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity, Server, ServerTlsConfig};

use super::*;
use crate::settings::Settings;
use crate::testing::{FakeSource, Rig};
use crate::trust::{ForwardedClientCert, Trust};

// Made for these tests, good for a hundred years from 2020.
/// A certificate authority; its key was never kept.
const CA: &str = "\
    MIIBXzCCAQagAwIBAgIUEcAjaI8Lzn4cQNBl5BxVW0FvyTAwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2Ew\
    IBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYI\
    KoZIzj0DAQcDQgAEs19dTjq9GMcJUlZ6dEc5fQ8TcmVj5NkVTrIYPcvuHRcaLFNl4fSlxSqdsSSsJx+nmFeC\
    mPUHdhjmYcajB60b7KNCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAgQwHQYDVR0OBBYEFN9/\
    0PwFJepn05uVbyeTDrg4F+ZWMAoGCCqGSM49BAMCA0cAMEQCIBvm//MYYl2EAcmINlV+DnRPGlggLgPs3RVn\
    OYQ1MmTpAiASPazayP9V7nmMipz8agWihrMuzCpPish5tIx4FQZ9Sg==";
/// Of that authority, for `localhost`.
const SERVER: &str = "\
    MIIBrzCCAVWgAwIBAgIUDicgtu7n8I2gZiX7V2HNZ2UGe9AwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2Ew\
    IBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBExDzANBgNVBAMMBnNlcnZlcjBZMBMGByqGSM49\
    AgEGCCqGSM49AwEHA0IABHR9ZcVmc6EPqNPTjquCSWpBbQp8LtcaRhz+n9rxbrc8qw8Rk5OxxoBzjGiGiVpJ\
    CUeyWq1hyMtbHOsNrJFhma2jgYwwgYkwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAww\
    CgYIKwYBBQUHAwEwFAYDVR0RBA0wC4IJbG9jYWxob3N0MB8GA1UdIwQYMBaAFN9/0PwFJepn05uVbyeTDrg4\
    F+ZWMB0GA1UdDgQWBBSZiaMbLmoZfBF4Mt3a94NrscaTZzAKBggqhkjOPQQDAgNIADBFAiA6+A40zpwyBWfT\
    OhD2jB68LXgjPp04GwpPnn7LCvnK5QIhAIk0oj1/2ULfbe94+PoTOqCXQMP+lQveAKGtduiRn+j/";
/// PKCS #8.
const SERVER_KEY: &str = "\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMu9bC1NMhjxL25KlQZP7IdITKAF31MngSrHx\
    EhRSKsyhRANCAAR0fWXFZnOhD6jT046rgklqQW0KfC7XGkYc/p/a8W63PKsPEZOTscaAc4xoholaSQlHslqt\
    YcjLWxzrDayRYZmt";
/// Of that authority, URI:spiffe://mesh.test/ns/shop/sa/payments.
const CLIENT: &str = "\
    MIIBzDCCAXKgAwIBAgIUQIIMICQsEh/APijc5FBy+FSvLAUwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2Ew\
    IBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBExDzANBgNVBAMMBmNsaWVudDBZMBMGByqGSM49\
    AgEGCCqGSM49AwEHA0IABKXWZi71ItrWqg/kU/PZy8LPxv5f0d8id/0WKktqjmsUSMYK6pC88WNuU6Fqkpkb\
    ZbSaXog9OmUAUsIm44HhiOujgakwgaYwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAww\
    CgYIKwYBBQUHAwIwMQYDVR0RBCowKIYmc3BpZmZlOi8vbWVzaC50ZXN0L25zL3Nob3Avc2EvcGF5bWVudHMw\
    HwYDVR0jBBgwFoAU33/Q/AUl6mfTm5VvJ5MOuDgX5lYwHQYDVR0OBBYEFMp/0H6iUXgkh69P0Ip+lVhdQoHS\
    MAoGCCqGSM49BAMCA0gAMEUCIQDdMAiMEqjyN1uCczv7r2cN6q/oT5nQchUjDMDqabTUAwIgdNcrIjucOe6J\
    D22eULnaKDqRC5QdMRdHkIcmMKfSUdM=";
/// PKCS #8.
const CLIENT_KEY: &str = "\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNvGq4hJVuH4M1gIybBmoNLMjaxgpWPmx85iK\
    e2m4RcChRANCAASl1mYu9SLa1qoP5FPz2cvCz8b+X9HfInf9FipLao5rFEjGCuqQvPFjblOhapKZG2W0ml6I\
    PTplAFLCJuOB4Yjr";
/// The same URI, of another authority.
const STRANGER: &str = "\
    MIIB0jCCAXegAwIBAgIUWkxFBLtzOPKdh+OxdUPMuESlebYwCgYIKoZIzj0EAwIwEDEOMAwGA1UEAwwFb3Ro\
    ZXIwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYH\
    KoZIzj0CAQYIKoZIzj0DAQcDQgAE5Mto6Gkx1dzG9zVbFoPudt1Hi8WwgVfhqf9PLWe9HNqDe0XCBfnP/LSs\
    Ix2490D+pVVSrwyT/wZ5Hl+KIGBz8qOBqTCBpjAMBgNVHRMBAf8EAjAAMA4GA1UdDwEB/wQEAwIHgDATBgNV\
    HSUEDDAKBggrBgEFBQcDAjAxBgNVHREEKjAohiZzcGlmZmU6Ly9tZXNoLnRlc3QvbnMvc2hvcC9zYS9wYXlt\
    ZW50czAfBgNVHSMEGDAWgBQz0JOUY6lC00ZbTi9ToD9s4XD3bjAdBgNVHQ4EFgQUSoLi7KE3ZYTLzelWKm2/\
    EOn7ZWswCgYIKoZIzj0EAwIDSQAwRgIhAMk+7VRRAHSxcNyg/d6KyDMupK3GHko4ii6S49F/7lX+AiEA6oOk\
    4we9EB6nDxPIsBKhlRXOrOH+ng6N/P5X/RYB6Y8=";
/// PKCS #8.
const STRANGER_KEY: &str = "\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgU1bewgTWLQ1FaKdUtqdL+v5jSFVb7TuLcI0h\
    MZPm8vahRANCAATky2joaTHV3Mb3NVsWg+523UeLxbCBV+Gp/08tZ70c2oN7RcIF+c/8tKwjHbj3QP6lVVKv\
    DJP/BnkeX4ogYHPy";

fn pem(label: &str, base64: &str) -> String {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

fn chain(base64: &str) -> String {
    pem("CERTIFICATE", base64)
}

fn identity(of: &str, key: &str) -> Identity {
    Identity::from_pem(chain(of), pem("PRIVATE KEY", key))
}

/// A client that shows this certificate, to a server that takes those of one authority.
async fn connect(rig: &Rig, shown: Option<Identity>) -> FeedClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ca = Certificate::from_pem(chain(CA));
    let tls = ServerTlsConfig::new()
        .identity(identity(SERVER, SERVER_KEY))
        .client_ca_root(ca.clone())
        .client_auth_optional(true);
    let trust = Trust::new(ForwardedClientCert::FromLocalProxy, Vec::new()).always();
    let exchange = Some(Arc::clone(&rig.exchange));
    let service = FeedService::server(Served { exchange, lender: None, circuits: None, trust });
    let server = Server::builder().tls_config(tls).unwrap().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let mut tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
    if let Some(shown) = shown {
        tls = tls.identity(shown);
    }
    let channel = Channel::from_shared(format!("https://{address}")).unwrap();
    FeedClient::new(channel.tls_config(tls).unwrap().connect_lazy())
}

async fn ask(mut client: FeedClient) -> Code {
    let request = ExchangeRequest {
        workload: "payments".to_owned(),
        envoy_id: "a".to_owned(),
        ..ExchangeRequest::default()
    };
    client.exchange(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn a_certificate_of_ones_own_says_who_asks() {
    let rig = Rig::loaded(&FakeSource::new(7), Settings::default()).await;
    let shown = connect(&rig, Some(identity(CLIENT, CLIENT_KEY))).await;
    assert_eq!(ask(shown).await, Code::Ok);
    let nothing = connect(&rig, None).await;
    assert_eq!(ask(nothing).await, Code::Unauthenticated);
    assert_eq!(rig.metric("postern_feed_exchanges_total{outcome=\"unidentified\""), 1.0);

    let stranger = connect(&rig, Some(identity(STRANGER, STRANGER_KEY))).await;
    assert_ne!(ask(stranger).await, Code::Ok);
    assert_eq!(rig.metric("postern_feed_exchanges_total{outcome=\"snapshot\""), 1.0);
}
